// The service's status and models, polled only while the page is visible.

const POLL_MS = 5000;

export class Service {
  status; // the last answer of GET /status: undefined before the first one, null if there was none
  models = []; // the last answer of GET /models
  #poll;

  constructor(changed) {
    this.changed = changed;
  }

  /** Poll now and every POLL_MS; `changed()` is called after every answer and every failure. */
  async watch() {
    clearTimeout(this.#poll);
    if (document.hidden) return;
    this.status = await ask("status");
    if (this.status && outdated(this.models, this.status)) {
      this.models = (await ask("models"))?.models ?? this.models;
    }
    this.changed();
    this.#poll = setTimeout(() => this.watch(), POLL_MS);
  }
}

function ask(path) {
  return fetch(path, { cache: "no-store" })
    .then((response) => (response.ok ? response.json() : null))
    .catch(() => null);
}

/** Return whether `status` lists other models than `models`, or only other versions of one of them. */
function outdated(models, status) {
  const names = (list) => list.map(({ name }) => name).join();
  if (names(models) !== names(status.models)) return true;
  return models.some(({ name, version }) => {
    const versions = status.workers.filter((worker) => worker.model === name && worker.version !== null);
    return versions.length > 0 && !versions.some((worker) => worker.version === version);
  });
}

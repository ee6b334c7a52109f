// The service's status and models, polled only while the page is visible.

import { fetchWithKey } from "./key.js";

const POLL_MS = 5000;
const [LOCKED, FORBIDDEN] = [401, 403]; // statuses
const AWAY_POLL_MS = 2000; // while there is no answer

export class Service {
  status; // the last answer of GET /status: undefined before the first one, null if there was none
  locked = false; // whether the service asks for a key that it was not given
  models = []; // the last answer of GET /models
  #poll;
  #asking;

  constructor(changed) {
    this.changed = changed;
  }

  /** Poll now and every POLL_MS; `changed()` is called after every answer and every failure. */
  async watch() {
    clearTimeout(this.#poll);
    if (document.hidden) return;
    await this.refresh();
    clearTimeout(this.#poll); // two may have been under way
    this.#poll = setTimeout(() => this.watch(), this.status ? POLL_MS : AWAY_POLL_MS);
  }

  /** Ask now; return the status, null if there was no answer. Several callers share one question. */
  refresh() {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask() {
    const asked = await ask("status");
    this.locked = asked === LOCKED;
    this.status = asked === FORBIDDEN ? await summary() : this.locked ? null : asked;
    if (this.status && outdated(this.models, this.status)) {
      this.models = (await ask("models"))?.models ?? this.models;
    }
    this.changed();
    return this.status;
  }
}

/** Return the answer, LOCKED or FORBIDDEN if the service refuses the key, null if there is none. */
function ask(path) {
  return fetchWithKey(path, { cache: "no-store" })
    .then((response) => (response.ok ? response.json() : [LOCKED, FORBIDDEN].includes(response.status) ? response.status : null))
    .catch(() => null);
}

/** Return what a key that may not see the status may see of it. */
async function summary() {
  const answer = await ask("models");
  return answer?.models ? { models: answer.models, workers: [] } : null;
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

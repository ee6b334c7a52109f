// The service's status and models, polled only while the page is visible.

import { requestWithKey } from "./key.js";

export const POLL_MS = 5000;
const AWAY_POLL_MS = 2000; // at most, while there is no answer
const SILENCE_MS = 4000;
const [LOCKED, FORBIDDEN] = [401, 403]; // statuses

class Service {
  everyMs = POLL_MS;
  status; // the last answer of GET /status: undefined before the first one, null if there was none
  locked = false; // whether the service asks for a key that it was not given
  refused = false; // whether its status is not for the page's key
  models = []; // the last answer of GET /models
  #listeners = [];
  #poll;
  #asking;

  /** Call `changed()` after every answer and every failure. */
  onAnswer(changed) {
    this.#listeners.push(changed);
  }

  /** Poll now and every `everyMs`. */
  async watch() {
    clearTimeout(this.#poll);
    if (document.hidden) return;
    await this.refresh();
    clearTimeout(this.#poll); // two may have been under way
    this.#poll = setTimeout(() => this.watch(), this.status ? this.everyMs : Math.min(this.everyMs, AWAY_POLL_MS));
  }

  /** Ask now; return the status, null if there was no answer. Several callers share one question. */
  refresh() {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask() {
    const asked = await ask("status");
    this.locked = asked === LOCKED;
    this.refused = this.locked || asked === FORBIDDEN;
    this.status = asked === FORBIDDEN ? await summary() : this.locked ? null : asked;
    if (this.status && outdated(this.models, this.status)) {
      this.models = (await ask("models"))?.models ?? this.models;
    }
    for (const changed of this.#listeners) changed();
    return this.status;
  }
}

/** The page's one view of the service. */
export const service = new Service();

/** Return the answer, LOCKED or FORBIDDEN if the service refuses the key, null if there is none. */
function ask(path) {
  return requestWithKey(path, { silenceMs: SILENCE_MS })
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

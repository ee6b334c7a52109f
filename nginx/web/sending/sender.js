// Send images to the service, as many at once as it has workers, in order; wait and go on when it cannot answer.

import { classify } from "./request.js";
import { scaled } from "./scaling.js";

const MOST = 5; // browsers open six connections to a host; one is left for the service's state
const LOST = 3; // times that one image's connection may break while the service answers others

/**
 * Each item has `file`, `number`, `parameters` and `side` (see scaled), and moves through `state`:
 * waiting -> sending (with `progress` from 0 to 1) -> done | failed | stopped, and from sending back to waiting.
 * `listener` has changed(item), called after every step; held(hold), called with {reason, until} or null;
 * and reach(), which resolves to whether the service answers after it was asked for its models.
 * `listener.renew(item)` replaces a model that is not served any more; it returns whether it could.
 */
export class Sender {
  width = 1;
  hold = null;
  #waiting = [];
  #sending = new Set();
  #abort = new AbortController();
  #timer;

  constructor(listener) {
    this.listener = listener;
  }

  get unfinished() {
    return this.#waiting.length + this.#sending.size;
  }

  add(items) {
    for (const item of items) {
      Object.assign(item, { lost: 0, body: undefined, answer: undefined, all: undefined, error: undefined });
      this.#move(item, { state: "waiting" });
    }
    this.#waiting.push(...items);
    this.#fill();
  }

  /** Set the number of workers, and with it how many images are sent at once. */
  setWorkers(count) {
    this.width = Math.min(Math.max(count, 1), MOST);
    this.#fill();
  }

  stop() {
    this.#abort.abort();
    this.#abort = new AbortController();
    const stopped = [...this.#sending, ...this.#waiting.splice(0)];
    this.#sending.clear();
    this.resume();
    for (const item of stopped) this.#move(item, { state: "stopped" });
  }

  /** End a hold. */
  resume() {
    clearTimeout(this.#timer);
    if (this.hold) this.listener.held((this.hold = null));
    this.#fill();
  }

  #fill() {
    if (this.hold?.until) return;
    // After a hold one image tries first, lest all of them are uploaded in vain.
    const width = this.hold ? 1 : this.width;
    while (this.#sending.size < width && this.#waiting.length) this.#run(this.#waiting.shift());
    for (const item of this.#waiting.slice(0, width)) prepare(item);
  }

  async #run(item) {
    const { signal } = this.#abort;
    this.#sending.add(item);
    this.#move(item, { state: "sending", progress: 0 });
    const outcome = await attempt(item, signal, (progress) => {
      if (!signal.aborted) this.#move(item, { progress });
    });
    const step = signal.aborted ? outcome : await this.#judge(item, outcome);
    if (signal.aborted) return;
    this.#sending.delete(item);
    if (step.state === "held") this.#wait(item, step);
    else this.#finish(item, step);
  }

  /** Return the item's next step: what is not its own fault is held, and tried again. */
  async #judge(item, outcome) {
    if (outcome.state === "replaced") {
      const renewed = await this.listener.renew(item);
      return renewed ? { state: "held", reason: "replaced", seconds: 1 } : { ...outcome, state: "failed" };
    }
    if (outcome.reason !== "away") return outcome;
    if (!(await readable(item.file))) return failure("unreadable_file");
    const answers = await this.listener.reach();
    item.lost += answers ? 1 : 0;
    return item.lost < LOST ? outcome : failure("connection_lost");
  }

  #wait(item, { reason, seconds }) {
    this.#waiting.push(item);
    this.#waiting.sort((one, other) => one.number - other.number);
    const until = Math.max(performance.now() + seconds * 1000, this.hold?.until ?? 0);
    this.hold = { reason, until };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tryAgain(), until - performance.now());
    this.#move(item, { state: "waiting" });
    this.listener.held(this.hold);
  }

  #tryAgain() {
    if (!this.#waiting.length) return this.resume();
    this.hold = { ...this.hold, until: 0 };
    this.listener.held(this.hold);
    this.#fill();
  }

  #finish(item, step) {
    item.body = undefined;
    this.#move(item, step);
    if (this.hold && !this.hold.until) return this.resume();
    this.#fill();
  }

  #move(item, step) {
    Object.assign(item, step);
    this.listener.changed(item);
  }
}

const failure = (code) => ({ state: "failed", status: 0, error: { code } });

/** Start to scale an image, so that it is ready when its turn comes. */
function prepare(item) {
  return (item.body ??= scaled(item.file, item.side));
}

async function attempt(item, signal, progress) {
  const body = await prepare(item);
  if (signal.aborted) return null;
  item.sentBytes = body.size;
  return classify({ body, name: item.file.name, parameters: item.parameters }, { signal, progress });
}

function readable(file) {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}

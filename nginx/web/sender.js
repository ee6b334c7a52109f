// Send images to the service, a few at a time and in order, and wait when the service says so.

const AT_ONCE = 4;
const DEFAULT_WAIT_S = 1;

export const UNKNOWN_MODEL = "unknown_model"; // an error code: the model is not served, or no longer

/**
 * Each item has `file` and `model`, and moves through `state`:
 * waiting -> sending -> done | failed | stopped, and from sending to busy and back.
 * `changed(item)` is called after every step.
 */
export class Sender {
  #waiting = [];
  #running = 0;
  #heldUntil = 0;
  #abort = new AbortController();

  constructor(changed) {
    this.changed = changed;
  }

  add(items) {
    for (const item of items) this.#move(item, { state: "waiting" });
    this.#waiting.push(...items);
    while (this.#running < AT_ONCE && this.#waiting.length) this.#run(this.#abort.signal);
  }

  stop() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#running = 0;
    this.#heldUntil = 0;
    for (const item of this.#waiting.splice(0)) this.#move(item, { state: "stopped" });
  }

  async #run(signal) {
    this.#running += 1;
    while (!signal.aborted && this.#waiting.length) {
      const item = this.#waiting.shift();
      const outcome = await this.#classify(item, signal);
      this.#move(item, signal.aborted ? { state: "stopped" } : outcome);
    }
    if (!signal.aborted) this.#running -= 1;
  }

  async #classify(item, signal) {
    for (;;) {
      // A busy service holds back every image, not only the one it refused.
      while (!signal.aborted && performance.now() < this.#heldUntil) {
        await pause(this.#heldUntil - performance.now(), signal);
      }
      if (signal.aborted) return null;
      this.#move(item, { state: "sending" });
      const outcome = await post(item, signal);
      if (outcome.state !== "busy" || signal.aborted) return outcome;
      this.#heldUntil = Math.max(this.#heldUntil, performance.now() + outcome.seconds * 1000);
      this.#move(item, outcome);
    }
  }

  #move(item, step) {
    Object.assign(item, step);
    this.changed(item);
  }
}

/**
 * Send one image; without a `model` the first one answers. `more` holds further parameters of /predict. Return the
 * item's next step.
 */
export async function post({ file, model }, signal, more = {}) {
  const query = new URLSearchParams({ labels: "both", ...(model && { model }), ...more });
  const body = new FormData();
  body.append("image", file);
  const start = performance.now();
  try {
    const response = await fetch(`predict?${query}`, { method: "POST", body, signal });
    if (response.status === 429) {
      return { state: "busy", seconds: Number(response.headers.get("Retry-After")) || DEFAULT_WAIT_S };
    }
    const answer = await response.json().catch(() => null);
    if (response.ok && answer) return { state: "done", answer, elapsed: performance.now() - start };
    return { state: "failed", status: response.status, error: answer?.error };
  } catch {
    return { state: "failed", status: 0, error: null };
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

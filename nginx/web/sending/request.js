// One request for a classification, with the progress of its upload.

import { requestWithKey } from "../key.js";

const DEFAULT_WAIT_S = 1; // where a busy service does not say how long

/**
 * Send `body`, a Blob with the name `name`. `parameters` are those of /predict; undefined ones are left out.
 * Return what came of it, by `state`:
 * done: `answer`, and `elapsed` in ms; failed: `status`, and `error` or null; replaced: the model is not served;
 * held: try again after `seconds`, for `reason` busy, unavailable or away (then nothing was heard from the service).
 */
export async function classify({ body, name, parameters }, { signal, progress } = {}) {
  const start = performance.now();
  const [address, form] = requestOf(body, name, parameters);
  const response = await requestWithKey(address, { method: "POST", body: form, signal, progress }).catch(() => null);
  if (!response) return { state: "held", reason: "away", seconds: DEFAULT_WAIT_S };
  const { status } = response;
  const answer = await response.json().catch(() => null);
  if (status === 200 && answer) return { state: "done", answer, elapsed: performance.now() - start };
  if (status === 429 || status === 503) {
    const seconds = Number(response.headers.get("Retry-After")) || DEFAULT_WAIT_S;
    return { state: "held", reason: status === 429 ? "busy" : "unavailable", seconds };
  }
  const error = answer?.error ?? null;
  return { state: error?.code === "unknown_model" ? "replaced" : "failed", status, error };
}

// Candidate labels may be too long for an address; Nginx has to see the model's name in it.
const IN_FORM = new Set(["candidate_labels", "hypothesis_template"]);

function requestOf(body, name, parameters) {
  const form = new FormData();
  const query = new URLSearchParams({ labels: "both" });
  for (const [key, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    if (IN_FORM.has(key)) form.append(key, value);
    else query.set(key, value);
  }
  form.append("image", body, name);
  return [`predict?${query}`, form];
}

// One request for a classification, with the progress of its upload.

import { currentKey } from "../key.js";

const DEFAULT_WAIT_S = 1; // where a busy service does not say how long

/**
 * Send `body`, a Blob with the name `name`. `parameters` are those of /predict; undefined ones are left out.
 * Return what came of it, by `state`:
 * done: `answer`, and `elapsed` in ms; failed: `status`, and `error` or null; replaced: the model is not served;
 * held: try again after `seconds`, for `reason` busy, unavailable or away (then nothing was heard from the service).
 */
export async function classify({ body, name, parameters }, { signal, progress = () => {} } = {}) {
  const start = performance.now();
  const send = ({ header }) => post(...requestOf(body, name, parameters), header, signal, progress);
  const key = currentKey();
  let reply = await send(key);
  if (reply.status === 401 && (await key.another())) reply = await send(currentKey());
  const { status, answer } = reply;
  const error = answer?.error ?? null;
  if (status === 200 && answer) return { state: "done", answer, elapsed: performance.now() - start };
  if (status === 0) return { state: "held", reason: "away", seconds: DEFAULT_WAIT_S };
  if (status === 429 || status === 503) {
    return { state: "held", reason: status === 429 ? "busy" : "unavailable", seconds: reply.retryAfter };
  }
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

/** Return {status, answer, retryAfter}; fetch() does not tell how much of a body was sent, XMLHttpRequest does. */
function post(path, form, header, signal, progress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open("POST", path);
    for (const [field, value] of Object.entries(header)) request.setRequestHeader(field, value);
    request.upload.onprogress = ({ loaded, total }) => progress(loaded / total);
    request.onloadend = () => {
      signal?.removeEventListener("abort", abort);
      const retryAfter = Number(request.getResponseHeader("Retry-After")) || DEFAULT_WAIT_S;
      resolve({ status: request.status, answer: jsonOf(request.responseText), retryAfter });
    };
    signal?.addEventListener("abort", abort);
    request.send(form);
  });
}

function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

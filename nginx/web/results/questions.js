// Further questions about an image that has an answer: a heat map of a class, and the scores of all classes.

import { classify } from "../sending/request.js";
import { scaled } from "../sending/scaling.js";

/** Return the outcome of asking for the heat map of class `index` of `item`, done or failed; null once aborted. */
export function askHeat(item, index, signal) {
  return ask(item, { heat_map: true, class: index }, signal);
}

/** Return the outcome of asking for the scores of all `count` classes of `item`, done or failed; null once aborted. */
export function askAll(item, count, signal) {
  return ask(item, { top_k: count, threshold: 0 }, signal);
}

async function ask(item, more, signal) {
  const body = await scaled(item.file, item.side);
  const parameters = { ...item.parameters, ...more };
  for (;;) {
    const outcome = await classify({ body, name: item.file.name, parameters }, { signal });
    if (signal.aborted) return null;
    if (outcome.state !== "held") return judged(outcome, item.answer);
    if (outcome.reason === "away") return { state: "failed", status: 0, error: null };
    await new Promise((resolve) => setTimeout(resolve, outcome.seconds * 1000));
    if (signal.aborted) return null;
  }
}

/** If another model has replaced the one that answered, its map does not explain that answer. */
function judged(outcome, answer) {
  const same = outcome.answer?.model === answer.model && outcome.answer?.version === answer.version;
  if (outcome.state === "done" && same) return outcome;
  if (outcome.state === "failed") return outcome;
  return { state: "failed", status: 404, error: { code: "unknown_model" } };
}

// What is said of an item: its best class, its trouble, its details.

import { percent } from "../language.js";
import { labelOf, text } from "../texts.js";

export const FINISHED = new Set(["done", "failed", "stopped"]);
const WORTH_A_ROW = 0.01; // a row below one percent tells the user little

export const bestOf = (item) => (item.state === "done" ? item.answer.predictions[0] : undefined);
export const unsure = (item) => item.state === "done" && item.answer.confident === false;
export const unanswered = (item) => item.state === "failed" || item.state === "stopped";

/** Return the predictions that are shown at once, and those that are folded. */
export function folded({ predictions, confident }) {
  const worth = ({ score }, rank) => !rank || confident === false || Math.abs(score) >= WORTH_A_ROW;
  const rank = predictions.findIndex((row, place) => !worth(row, place));
  return rank < 0 ? [predictions, []] : [predictions.slice(0, rank), predictions.slice(rank)];
}

/** Return [headline, remedy] of an item or a heat map that has no answer; empty texts where it has one. */
export function troubleOf({ state, progress, status, error }) {
  if (state === "done") return ["", ""];
  if (state === "sending" && progress < 1 && progress > 0) return [text("uploading", percent(progress)), ""];
  if (state !== "failed") return [text(state), ""];
  const refused = text("refused");
  return refused[error?.code] ?? refused[status] ?? text("unexplained", status);
}

/** Return one line: the label, the doubt or the trouble. */
export function lineOf(item) {
  const best = bestOf(item);
  if (unsure(item)) return text("doubtful", best && labelOf(best));
  if (best) return labelOf(best);
  return item.state === "done" ? text("nothingFound") : troubleOf(item)[0];
}

export const scoreOf = (item) => (bestOf(item) ? percent(bestOf(item).score) : "");
export const workerMs = (item) => item.answer.timing_ms.total;
export const timingOf = (item) => text("timing", workerMs(item).toFixed(1), Math.round(item.elapsed));

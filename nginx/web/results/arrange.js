// Which items are shown, in which order, and how many have which label. Pure functions of the items.

import { inOrder } from "../language.js";
import { labelOf } from "../texts.js";
import { bestOf, unanswered, unsure, workerMs } from "./words.js";

const LABEL = "label:"; // begins the filter for one label

/** Return the counts of all filters: {all, unsure, failed, labels}; `labels` has [filter, prediction, count], most first. */
export function countsOf(items) {
  const labels = new Map();
  for (const item of items) {
    const best = bestOf(item);
    if (!best) continue;
    const entry = labels.get(best.label) ?? [LABEL + best.label, best, 0];
    entry[2] += 1;
    labels.set(best.label, entry);
  }
  return {
    all: items.length,
    unsure: items.filter(unsure).length,
    failed: items.filter(unanswered).length,
    labels: [...labels.values()].sort((one, other) => other[2] - one[2] || compare(labelOf(one[1]), labelOf(other[1]))),
  };
}

const FILTERS = { all: () => true, unsure, failed: unanswered };

const score = (item) => bestOf(item)?.score;
const label = (item) => bestOf(item) && labelOf(bestOf(item));
const slowness = (item) => (item.state === "done" ? -workerMs(item) : undefined);
const ORDERS = {
  added: ({ number }) => number,
  name: ({ file }) => file.name,
  label,
  highest: (item) => score(item) && -score(item),
  lowest: score,
  slowest: slowness,
};
export const ORDER_NAMES = Object.keys(ORDERS);

/** Return those of `items` that `filter` lets through, in the order called `order`; items without a value come last. */
export function arranged(items, filter, order) {
  const passes = FILTERS[filter] ?? ((item) => LABEL + bestOf(item)?.label === filter);
  const keyed = items.filter(passes).map((item) => [ORDERS[order](item), item]);
  if (order !== "added") keyed.sort(([one], [other]) => (one === undefined) - (other === undefined) || compare(one, other));
  return keyed.map(([, item]) => item);
}

function compare(one, other) {
  if (typeof one === "string") return inOrder(one, other);
  return one === other || one === undefined ? 0 : one < other ? -1 : 1;
}

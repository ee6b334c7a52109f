// Heat maps: where the network looks, requested for one image and shown in its place.

import { post, UNKNOWN_MODEL } from "./sender.js";

/**
 * Turn the heat map of `item` on or off, and request it the first time. `item.heat` moves through `state`:
 * sending -> done | failed, with busy in between; `changed(item)` is called after every step.
 */
export async function toggleHeat(item, changed) {
  if (item.heat?.state === "sending" || item.heat?.state === "busy") return;
  if (item.heat?.state === "done") item.heat.shown = !item.heat.shown;
  else for await (item.heat of asked(item)) changed(item);
  changed(item);
}

async function* asked(item) {
  let outcome = { state: "sending" };
  while (outcome.state === "sending" || (outcome.state === "busy" && item.card.isConnected)) {
    yield outcome;
    if (outcome.state === "busy") await new Promise((resolve) => setTimeout(resolve, outcome.seconds * 1000));
    outcome = await post(item, undefined, { heat_map: true });
  }
  // If another model has replaced the one that answered, its map does not explain that answer.
  if (outcome.state === "done" && !sameModel(outcome.answer, item.answer)) {
    outcome = { state: "failed", error: { code: UNKNOWN_MODEL } };
  }
  yield { ...outcome, shown: outcome.state === "done" };
}

const sameModel = (one, other) => one.model === other.model && one.version === other.version;

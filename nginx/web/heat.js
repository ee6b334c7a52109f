// Where the network looks: a map asked for on one image, and shown in the image's place.

import { post, UNKNOWN_MODEL } from "./sender.js";

/**
 * Turns the heat map of `item` on or off, and asks for it the first time. `item.heat` moves through `state`:
 * sending -> done | failed, with busy on the way; `changed(item)` is called after every step.
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
  // A model that has taken the place of the first one looks elsewhere.
  if (outcome.state === "done" && !sameModel(outcome.answer, item.answer)) {
    outcome = { state: "failed", error: { code: UNKNOWN_MODEL } };
  }
  yield { ...outcome, shown: outcome.state === "done" };
}

const sameModel = (one, other) => one.model === other.model && one.version === other.version;

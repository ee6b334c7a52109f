// What the user sets for the images that are sent from now on.

import { find } from "../dom.js";
import { chosen } from "../models.js";
import { text } from "../texts.js";
import { sideFor } from "./scaling.js";

const button = find("settings-button");
let shown; // the model that the settings are shown for

button.onclick = () => {
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", open);
  find("settings").hidden = !open;
};
find("settings").onsubmit = (event) => event.preventDefault(); // Enter in a field

/** Show what can be set for `model`, as GET /models describes it, or for any model if that is undefined. */
export function showSettings(model) {
  shown = model;
  for (const field of document.querySelectorAll(".zero-shot")) field.hidden = !model?.zero_shot;
  find("top-k").max = model?.classes ?? "";
  for (const id of ["top-k", "threshold", "template"]) find(id).placeholder = text("modelDefault");
  find("settings").querySelector("[data-text=scaling]").textContent = model ? text("scaling", sideFor(model)) : "";
  find("originals").disabled = Boolean(model) && sideFor(model) === null;
}

/** Return what an item is sent with: `parameters` of /predict, undefined where the model's own hold, and `side`. */
export function currentSettings() {
  const valid = (id) => (find(id).validity.valid && find(id).value !== "" ? find(id).valueAsNumber : undefined);
  const threshold = valid("threshold");
  return {
    parameters: {
      model: chosen(),
      top_k: valid("top-k"),
      threshold: threshold === undefined ? undefined : threshold / 100,
      ...(shown?.zero_shot && ownLabels()),
    },
    side: find("originals").checked ? null : sideFor(shown),
  };
}

function ownLabels() {
  const labels = find("candidates").value.split("\n").map((label) => label.trim()).filter(Boolean);
  if (!labels.length) return {};
  return { candidate_labels: JSON.stringify(labels), hypothesis_template: find("template").value.trim() || undefined };
}

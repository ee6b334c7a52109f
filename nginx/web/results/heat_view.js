// The image of the large view with a heat map over it: a button, a choice of class and a scale.

import { find } from "../dom.js";
import { labelOf, text } from "../texts.js";
import { drawHeat, partSeen } from "./heat.js";
import { askHeat } from "./questions.js";
import { troubleOf } from "./words.js";

export class HeatView {
  #item;
  #signal;
  #on = false;
  #outcome = null; // of the last question, or {state: "sending"} while it is asked

  /** `modelOf(name)` returns what GET /models says; `say(words)` tells a screen reader. */
  constructor(modelOf, say) {
    this.modelOf = modelOf;
    this.say = say;
    this.image = find("large-image");
    this.canvas = find("overlay");
    this.choice = find("heat-class");
    this.image.onload = () => this.show();
    this.image.onerror = () => {
      find("stage").classList.add("empty");
      this.show();
    };
    find("heat-button").onclick = () => this.toggle();
    this.choice.onchange = () => this.#ask();
  }

  enter(item, signal) {
    this.#item = item;
    this.#signal = signal;
    this.#on = false;
    this.#outcome = null;
    this.choice.replaceChildren();
    find("stage").classList.remove("empty");
    this.image.src = URL.createObjectURL(item.file);
  }

  leave() {
    if (this.image.src) URL.revokeObjectURL(this.image.src);
    this.image.removeAttribute("src");
    this.#item = undefined;
  }

  toggle() {
    this.#on = !this.#on;
    if (this.#on && this.#outcome?.state !== "done") return this.#ask();
    this.show();
  }

  async #ask() {
    const [item, index] = [this.#item, Number(this.choice.value)];
    this.#on = true;
    this.#outcome = { state: "sending", index };
    this.show();
    const outcome = await askHeat(item, index, this.#signal);
    if (!outcome || this.#item !== item || this.#outcome.index !== index) return; // another was asked for meanwhile
    this.#outcome = { ...outcome, index };
    if (outcome.state !== "done") this.#on = false;
    this.show();
    if (this.#on) this.say(this.canvas.getAttribute("aria-label"));
  }

  show() {
    const item = this.#item;
    if (!item) return;
    const predictions = item.state === "done" ? item.all ?? item.answer.predictions : [];
    find("stage").dataset.words = text("noPreview");
    find("heat-controls").hidden = predictions.length === 0 || find("stage").classList.contains("empty");
    this.#offer(predictions);
    const cells = this.#on && this.#outcome?.state === "done" && this.#outcome.answer.heat_map_cells;
    const input = cells && this.modelOf(item.answer.model)?.input;
    find("heat-button").setAttribute("aria-pressed", this.#on);
    find("legend").hidden = this.canvas.hidden = !input || !this.image.naturalWidth;
    const trouble = this.#outcome && this.#outcome.state !== "done" ? troubleOf(this.#outcome) : [];
    find("heat-message").textContent = trouble.filter(Boolean).join(" · ");
    find("heat-message").classList.toggle("failed", this.#outcome?.state === "failed");
    if (this.canvas.hidden) return;
    drawHeat(this.canvas, cells, partSeen(this.image.naturalWidth, this.image.naturalHeight, input));
    const row = predictions.find(({ index }) => index === this.#outcome.index);
    this.canvas.setAttribute("aria-label", text("heat", row ? labelOf(row) : ""));
  }

  /** Offer the classes of the answer to choose from, and keep the choice. */
  #offer(predictions) {
    const before = this.choice.value;
    const options = predictions.map((row) => new Option(labelOf(row), row.index));
    if (labelsIn(this.choice.options) === labelsIn(options)) return;
    this.choice.replaceChildren(...options);
    if (before && predictions.some(({ index }) => String(index) === before)) this.choice.value = before;
  }
}

const labelsIn = (options) => Array.from(options, (option) => `${option.value} ${option.label}`).join("\n");

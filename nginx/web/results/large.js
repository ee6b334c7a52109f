// The large view of one image: the whole image, its heat maps, all classes, and details to copy.

import { find } from "../dom.js";
import { number } from "../language.js";
import { text } from "../texts.js";
import { newAnswer, newTerm, showAnswer } from "./answer.js";
import { copyAnswer } from "./export.js";
import { HeatView } from "./heat_view.js";
import { askAll } from "./questions.js";
import { workerMs } from "./words.js";

const answer = newAnswer();

export class Large {
  item;
  #neighbours;
  #heat;
  #abort;

  /** `neighbours(item)` returns {place, all, before, after}; `modelOf(name)` what GET /models says; `closed(item)`. */
  constructor(neighbours, modelOf, closed) {
    this.#neighbours = neighbours;
    this.#heat = new HeatView(modelOf, (words) => this.#say(words));
    this.modelOf = modelOf;
    this.details = document.createElement("dl");
    this.details.className = "details";
    find("large-answer").append(answer, this.details);
    find("large-close").onclick = () => find("large").close();
    find("large-before").onclick = () => this.#go("before");
    find("large-after").onclick = () => this.#go("after");
    find("all-classes").onclick = () => this.#showAll();
    find("copy").onclick = async () => this.#say(text((await copyAnswer(this.item, find("large"))) ? "copied" : "notCopied"));
    find("large").onclick = (event) => event.target === find("large") && find("large").close(); // its backdrop
    find("large").onkeydown = (event) => this.#onKey(event);
    find("large").onclose = () => {
      const { item } = this;
      this.#leave();
      closed(item);
    };
  }

  open(item, heat) {
    this.#enter(item);
    find("large").showModal();
    if (heat) this.#heat.toggle();
  }

  #enter(item) {
    this.#leave();
    this.item = item;
    this.#abort = new AbortController();
    this.#heat.enter(item, this.#abort.signal);
    find("large-answer").scrollTop = 0;
    this.#say("");
    this.show();
  }

  #leave() {
    this.#abort?.abort();
    this.#heat.leave();
    this.item = undefined;
  }

  #go(where) {
    const next = this.#neighbours(this.item)[where];
    if (next) this.#enter(next);
  }

  #onKey(event) {
    const where = { ArrowLeft: "before", ArrowRight: "after" }[event.key];
    if (where && !["SELECT", "INPUT"].includes(event.target.tagName)) this.#go(where);
  }

  /** Show the item as it is now. */
  show() {
    const { item } = this;
    if (!item) return;
    const { place, all, before, after } = this.#neighbours(item);
    find("large-name").textContent = item.file.name;
    find("large-place").textContent = all > 1 && place ? text("place", place, all) : "";
    for (const [id, key, other] of [["large-before", "before", before], ["large-after", "after", after]]) {
      find(id).setAttribute("aria-label", text(key));
      find(id).hidden = all < 2;
      find(id).setAttribute("aria-disabled", !other);
    }
    find("large-close").setAttribute("aria-label", text("close"));
    find("large").dataset.state = item.state;
    showAnswer(answer, item, item.all ?? item.answer?.predictions);
    this.details.replaceChildren(...detailsOf(item).flatMap(([name, value]) => newTerm(text("details")[name], value)));
    const classes = this.#classes();
    find("all-classes").hidden = !(item.state === "done" && !item.all && classes > item.answer.predictions.length);
    find("all-classes").textContent = text("allClasses", classes);
    find("copy").hidden = item.state !== "done" && item.state !== "failed";
    this.#heat.show();
  }

  /** Return how many classes the model of the answer has, 0 if it is not known; a request's own labels are all shown. */
  #classes() {
    const { answer: given, parameters } = this.item;
    return parameters.candidate_labels ? 0 : this.modelOf(given?.model)?.classes ?? 0;
  }

  async #showAll() {
    const { item } = this;
    this.#say(text("loading"));
    const outcome = await askAll(item, this.#classes(), this.#abort.signal);
    if (!outcome) return;
    if (outcome.state === "done") item.all = outcome.answer.predictions;
    this.#say(outcome.state === "done" ? "" : text("refused")[outcome.error?.code ?? outcome.status]?.join(". ") ?? "");
    this.show();
    if (item.all) answer.querySelector(".rest").open = true;
  }

  #say(words) {
    find("large-status").textContent = words;
  }
}

function detailsOf(item) {
  const { state, file, answer: given, error, sentBytes } = item;
  const scaled = sentBytes && sentBytes !== file.size;
  const sent = sentBytes ? [["sent", text("sentSize", sizeOf(sentBytes), scaled ? sizeOf(file.size) : "")]] : [];
  const id = (given ?? error)?.request_id;
  const request = id ? [["request", id]] : [];
  if (state === "failed") return [...(error?.message ? [["said", error.message]] : []), ...sent, ...request];
  if (state !== "done") return [];
  const time = text("timing", workerMs(item).toFixed(1), Math.round(item.elapsed));
  return [["model", `${given.model} · ${given.version}`], ["worker", `${given.worker} · ${time}`], ...sent, ...request];
}

function sizeOf(bytes) {
  const [size, unit] = bytes < 1e6 ? [bytes / 1e3, "kilobyte"] : [bytes / 1e6, "megabyte"];
  return number(size, { style: "unit", unit, maximumFractionDigits: size < 10 ? 1 : 0 });
}

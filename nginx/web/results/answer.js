// The answer to one image in full: classes with their scores, attributes, doubt or trouble.

import { stamp } from "../dom.js";
import { percent } from "../language.js";
import { labelOf, text } from "../texts.js";
import { folded, troubleOf, unsure } from "./words.js";

/** Return a new, empty place for an answer. */
export const newAnswer = () => stamp("answer");

/** Show the answer of `item` in `place`; with `predictions` these instead of the answer's own. */
export function showAnswer(place, item, predictions = item.answer?.predictions) {
  const part = (name) => place.querySelector(`.${name}`);
  const done = item.state === "done";
  const [shown, rest] = done ? folded({ ...item.answer, predictions }) : [[], []];
  const [message, remedy] = done && !predictions.length ? [text("nothingFound"), ""] : troubleOf(item);
  place.classList.toggle("unsure", unsure(item));
  part("message").textContent = message;
  part("remedy").textContent = remedy;
  part("doubt").textContent = unsure(item) ? text("unsure", shown.length) : "";
  part("bars").replaceChildren(...shown.map(newBar));
  part("rest").hidden = rest.length === 0;
  const [title, list] = [part("rest").querySelector("summary"), part("rest").querySelector(".bars")];
  title.textContent = text("rest", rest.length);
  list.setAttribute("aria-label", title.textContent); // it scrolls, and so the Tab key reaches it
  list.replaceChildren(...rest.map(newBar));
  part("attributes").replaceChildren(...Object.entries((done && item.answer.attributes) || {}).flatMap(newAttribute));
}

function newBar(prediction) {
  const row = stamp("bar");
  row.querySelector(".label").textContent = labelOf(prediction);
  row.querySelector(".score").textContent = percent(prediction.score);
  row.querySelector(".bar").style.setProperty("--score", Math.min(Math.abs(prediction.score), 1));
  return row;
}

/** Return a term and its detail: one class, or several that do not exclude each other. */
function newAttribute([name, found]) {
  const detail = [found].flat().map((row) => `${labelOf(row)} ${percent(row.score)}`).join(" · ");
  return newTerm(name, detail || text("none"));
}

/** Return the two elements of a list of terms. */
export function newTerm(name, value) {
  const term = document.createElement("dt");
  const detail = document.createElement("dd");
  term.textContent = name;
  detail.textContent = value;
  return [term, detail];
}

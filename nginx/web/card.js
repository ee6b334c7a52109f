// One card: an image and its result.

import { stamp } from "./dom.js";
import { served } from "./models.js";
import { labelOf, percent, text } from "./texts.js";

const WORTH_A_ROW = 0.01; // a row below one percent tells the user nothing, unless the model is not sure

export function newCard(file) {
  const card = stamp("card");
  const image = card.querySelector("img");
  image.onload = () => URL.revokeObjectURL(image.src);
  image.onerror = () => {
    URL.revokeObjectURL(image.src);
    image.parentElement.classList.add("empty");
  };
  image.src = URL.createObjectURL(file);
  const name = card.querySelector(".file");
  name.textContent = name.title = file.name;
  return card;
}

export function showCard(item) {
  const part = (name) => item.card.querySelector(`.${name}`);
  const { predictions = [], attributes = {}, confident = null } = item.state === "done" ? item.answer : {};
  const said = item.state === "done" ? item.heat ?? item : item;
  const rows = predictions.filter(({ score }, rank) => !rank || confident === false || Math.abs(score) >= WORTH_A_ROW);
  item.card.dataset.state = item.state;
  item.card.classList.toggle("unsure", confident === false);
  part("message").textContent = messageOf(said);
  part("reason").textContent = reasonOf(said);
  part("doubt").textContent = confident === false ? text("unsure", rows.length) : "";
  part("bars").replaceChildren(...rows.map(newBar));
  part("attributes").replaceChildren(...Object.entries(attributes).flatMap(newAttribute));
  part("timing").textContent = detailOf(item);
  part("look").hidden = item.state !== "done";
  part("look").textContent = text("look");
  part("look").setAttribute("aria-pressed", Boolean(item.heat?.shown));
  part("image").hidden = Boolean(item.heat?.shown);
  part("heat").hidden = !item.heat?.shown;
  part("heat").alt = predictions.length ? text("heat", labelOf(predictions[0])) : text("look");
  if (item.heat?.shown) part("heat").src = item.heat.answer.heat_map;
}

export function messageOf({ state, seconds, status, error }) {
  if (state === "done") return "";
  if (state === "busy") return text("busy", seconds);
  if (state !== "failed") return text(state);
  const refused = text("refused");
  return refused[error?.code] ?? refused[status] ?? text("unexplained", status);
}

/** Return the service's own message, which is English, unless the page has its own for this code. */
function reasonOf({ state, error }) {
  return state !== "failed" || error?.code in text("refused") ? "" : error?.message ?? "";
}

function detailOf({ state, answer, elapsed, error }) {
  if (state === "failed" && error?.request_id) return text("request", error.request_id);
  if (state !== "done") return "";
  const timing = text("timing", answer.timing_ms.total.toFixed(1), Math.round(elapsed));
  return served().length > 1 ? `${answer.model} · ${timing}` : timing;
}

function newBar(prediction) {
  const row = stamp("bar");
  row.querySelector(".label").textContent = labelOf(prediction);
  row.querySelector(".score").textContent = percent(prediction.score);
  row.querySelector(".bar").style.setProperty("--score", prediction.score);
  return row;
}

/** Return a term and its detail: one class, or several that do not exclude each other. */
function newAttribute([name, found]) {
  const term = document.createElement("dt");
  const detail = document.createElement("dd");
  const rows = [found].flat();
  term.textContent = name;
  detail.textContent = rows.map((row) => `${labelOf(row)} ${percent(row.score)}`).join(" · ") || text("none");
  return [term, detail];
}

// The models: which workers serve each, how many images a second, and how long a request takes.

import { element, setText } from "../dom.js";
import { number } from "../language.js";
import { valuesOf } from "./status.js";
import { text } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 40;

/** Show a card for each model of `status` in `list`; the cards of `cards`, by name, are used again. */
export function showModels(list, cards, status) {
  for (const [name, card] of cards) {
    if (status.models.some((model) => model.name === name)) continue;
    card.item.remove();
    cards.delete(name);
  }
  for (const model of status.models) {
    if (!cards.has(model.name)) cards.set(model.name, newCard(list, model.name));
    showCard(cards.get(model.name), model, status.workers.filter((worker) => worker.model === model.name));
  }
}

function newCard(list, name) {
  const parts = {};
  const part = (key, tag, className) => (parts[key] = element(tag, { className }));
  const figure = (key) => element("div", {}, part(`${key}Term`, "dt"), part(key, "dd"));
  parts.chart = chart();
  parts.item = element(
    "li",
    { className: "model-card" },
    element("h4", {}, name),
    part("serving", "p", "serving"),
    part("about", "p", "quiet"),
    element("dl", { className: "figures" }, figure("rate"), figure("p50"), figure("p99")),
    parts.chart,
    part("note", "p", "quiet small"),
  );
  list.append(parts.item);
  return parts;
}

function showCard(card, model, workers) {
  const recent = model.recent ?? { images: [], images_per_s: null, p50_ms: null, p99_ms: null, step_s: 1 };
  card.item.dataset.severity = !model.ready ? "bad" : model.workers_in < model.workers ? "some" : "good";
  setText(card.serving, model.ready ? text("serving", model.workers_in, model.workers) : text("unavailable"));
  const [version, ...engine] = ["version", "engine", "precision"].map((key) => valuesOf(workers, key).join(", "));
  setText(card.about, [version && text("version", version), ...engine].filter(Boolean).join(" · "));
  setText(card.rateTerm, text("rate"));
  setText(card.rate, recent.images_per_s === null ? "–" : rounded(recent.images_per_s));
  for (const key of ["p50", "p99"]) {
    setText(card[`${key}Term`], text(key));
    setText(card[key], recent[`${key}_ms`] === null ? "–" : `${rounded(recent[`${key}_ms`])} ms`);
  }
  const peak = Math.max(0, ...recent.images) / recent.step_s;
  setText(card.note, peak ? `${text("percentiles")} · ${text("peak", rounded(peak))}` : text("quiet"));
  card.chart.classList.toggle("empty", !peak);
  draw(card.chart, recent.images);
}

const rounded = (value) => number(value, { maximumFractionDigits: value < 10 ? 1 : 0 });

function chart() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("chart");
  svg.append(document.createElementNS(SVG, "path"), document.createElementNS(SVG, "path"));
  return svg;
}

/** Draw the images of each step, the newest at the right, as a line above its area. */
function draw(svg, images) {
  const most = Math.max(1, ...images);
  const points = images.map((count, step) => {
    const x = (step / Math.max(1, images.length - 1)) * WIDTH;
    return `${x.toFixed(1)} ${(HEIGHT - 1 - (count / most) * (HEIGHT - 3)).toFixed(1)}`;
  });
  const [area, line] = svg.children;
  line.setAttribute("d", points.length ? `M${points.join("L")}` : "");
  area.setAttribute("d", points.length ? `M${points.join("L")}V${HEIGHT}H0Z` : "");
}

import { filesOf } from "./files.js";
import { toggleHeat } from "./heat.js";
import { Sender } from "./sender.js";
import { page, percent, remember, text } from "./texts.js";

const POLL_MS = 5000;
const FINISHED = new Set(["done", "failed", "stopped"]);
const PASSING = new Set([0, 503, 504]); // refusals that say nothing against the picture; 0: no answer at all

const find = (id) => document.getElementById(id);
const items = [];
let latest = []; // the items last sent: what the screen reader is told about
const sender = new Sender((item) => {
  showItem(item);
  scheduleSummary();
});

// Pictures

function addFiles({ files, skipped = 0 }) {
  const added = Array.from(files, (file) => ({ file, model: find("model").value, card: newCard(file) }));
  for (const item of added) item.card.querySelector(".look").onclick = () => toggleHeat(item, showHeat);
  find("note").textContent = skipped ? text("skipped", skipped) : added.length ? "" : text("nothing");
  find("cards").append(...added.map((item) => item.card));
  items.push(...added);
  send(added);
}

function send(some) {
  latest = some;
  sender.add(some);
}

function newCard(file) {
  const card = find("card").content.firstElementChild.cloneNode(true);
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

function showItem(item) {
  const part = (name) => item.card.querySelector(`.${name}`);
  const { predictions = [], attributes = {} } = item.state === "done" ? item.answer : {};
  const told = item.state === "done" ? item.heat ?? item : item;
  item.card.dataset.state = item.state;
  part("message").textContent = messageOf(told);
  part("reason").textContent = told.state === "failed" ? told.error?.message ?? "" : "";
  part("bars").replaceChildren(...predictions.map(newBar));
  part("attributes").replaceChildren(...Object.entries(attributes).flatMap(newAttribute));
  part("timing").textContent = detailOf(item);
  part("look").hidden = item.state !== "done";
  part("look").textContent = text("look");
  part("look").setAttribute("aria-pressed", Boolean(item.heat?.shown));
  part("picture").hidden = Boolean(item.heat?.shown);
  part("heat").hidden = !item.heat?.shown;
  part("heat").alt = predictions.length ? text("heat", labelOf(predictions[0])) : text("look");
  if (item.heat?.shown) part("heat").src = item.heat.answer.heat_map;
}

function showHeat(item) {
  showItem(item);
  const { state, shown } = item.heat;
  find("announcement").textContent =
    state === "done" ? (shown ? item.card.querySelector(".heat").alt : "") : messageOf(item.heat);
}

function messageOf(item) {
  if (item.state === "done") return "";
  if (item.state === "busy") return text("busy", item.seconds);
  if (item.state !== "failed") return text(item.state);
  if (item.status === 0) return text("unreachable");
  return text("refused")[item.status] ?? text("unexplained", item.status);
}

function detailOf({ state, answer, elapsed, error }) {
  if (state === "failed" && error?.request_id) return text("request", error.request_id);
  if (state !== "done") return "";
  const timing = text("timing", answer.timing_ms.total.toFixed(1), Math.round(elapsed));
  return find("model").options.length > 1 ? `${answer.model} · ${timing}` : timing;
}

const labelOf = (prediction) => prediction[`label_${page.language}`] || prediction.label;

function newBar(prediction) {
  const row = find("bar").content.firstElementChild.cloneNode(true);
  row.querySelector(".label").textContent = labelOf(prediction);
  row.querySelector(".score").textContent = percent(prediction.score);
  row.querySelector(".bar").style.setProperty("--score", prediction.score);
  return row;
}

/** A term and what was found: one class, or several that do not exclude each other. */
function newAttribute([name, found]) {
  const term = document.createElement("dt");
  const detail = document.createElement("dd");
  const rows = [found].flat();
  term.textContent = name;
  detail.textContent = rows.map((row) => `${labelOf(row)} ${percent(row.score)}`).join(" · ") || text("none");
  return [term, detail];
}

// Summary: once for all the answers that came together

let summaryDue = false;

function scheduleSummary() {
  if (summaryDue) return;
  summaryDue = true;
  setTimeout(showSummary);
}

function showSummary() {
  summaryDue = false;
  const finished = items.filter((item) => FINISHED.has(item.state)).length;
  const unanswered = items.filter((item) => item.state === "failed" || item.state === "stopped").length;
  const again = sendable().length;
  const running = finished < items.length;
  document.body.classList.toggle("filled", items.length > 0);
  find("results").hidden = items.length === 0;
  find("summary").textContent =
    text("summary", finished, items.length) + (unanswered ? text("unanswered", unanswered) : "");
  find("progress").style.setProperty("--done", running ? finished / items.length : 1);
  find("stop").hidden = !running;
  find("again").hidden = running || again === 0;
  find("again").textContent = text("again", again);
  find("announcement").textContent = running || items.length === 0 ? "" : announcement();
}

const sendable = () =>
  items.filter((item) => item.state === "stopped" || (item.state === "failed" && PASSING.has(item.status)));

/** A single picture is read out with its answer; of many only the summary, not each as it comes. */
function announcement() {
  if (latest.length !== 1) return find("summary").textContent;
  const [{ file, card }] = latest;
  const said = card.querySelectorAll(".message, .reason, .bars li:first-child > *");
  return [file.name, ...Array.from(said, (element) => element.textContent)].filter(Boolean).join(" ");
}

// Service status, asked for only while somebody looks

let service;
let poll;

async function watchService() {
  clearTimeout(poll);
  if (document.hidden) return;
  service = await fetch("status", { cache: "no-store" })
    .then((response) => (response.ok ? response.json() : null))
    .catch(() => null);
  showService();
  poll = setTimeout(watchService, POLL_MS);
}

function showService() {
  if (service === undefined) return;
  const models = service?.models ?? [];
  const all = models.reduce((sum, model) => sum + model.workers, 0);
  const answering = models.reduce((sum, model) => sum + model.workers_in, 0);
  find("workers").textContent = service ? text("workers", answering, all) : text("silent");
  find("workers").dataset.health = answering === 0 ? "none" : answering < all ? "some" : "all";
  if (service) showModels(models.map((model) => model.name));
}

function showModels(names) {
  const select = find("model");
  const known = Array.from(select.options, (option) => option.value);
  if (known.join() === names.join()) return;
  const chosen = select.value;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  if (names.includes(chosen)) select.value = chosen;
  find("model-field").hidden = names.length < 2;
}

// Language

function showLanguage() {
  document.documentElement.lang = page.language === "zh" ? "zh-CN" : "en";
  document.title = text("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", button.dataset.language === page.language);
  }
  items.forEach(showItem);
  find("note").textContent = "";
  showSummary();
  showService();
}

// Events

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    remember(button.dataset.language);
    showLanguage();
  });
}

find("files").addEventListener("change", (event) => {
  addFiles({ files: event.target.files });
  event.target.value = ""; // so that the same file can be chosen twice
});

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  addFiles(await filesOf(event.dataTransfer));
});
document.addEventListener("paste", async (event) => addFiles(await filesOf(event.clipboardData)));

// These two vanish when used: the focus goes to the summary, which says what came of it.
find("stop").addEventListener("click", () => {
  sender.stop();
  find("summary").focus();
});
find("again").addEventListener("click", () => {
  send(sendable());
  find("summary").focus();
});
find("clear").addEventListener("click", () => {
  sender.stop();
  for (const item of items.splice(0)) {
    URL.revokeObjectURL(item.card.querySelector("img").src);
    item.card.remove();
  }
  find("note").textContent = "";
  find("files").focus();
  showSummary();
});
document.addEventListener("visibilitychange", watchService);

showLanguage();
watchService();

import { messageOf, newCard, showCard } from "./card.js";
import { find } from "./dom.js";
import { fileAt, filesOf } from "./files.js";
import { toggleHeat } from "./heat.js";
import { chosen, served, showModel, showNames } from "./models.js";
import { Sender, UNKNOWN_MODEL } from "./sender.js";
import { Service } from "./service.js";
import { page, remember, text } from "./texts.js";

const FINISHED = new Set(["done", "failed", "stopped"]);
// Errors that are not the image's fault, by status or code; 0: no answer at all.
const PASSING = new Set([0, 503, 504, UNKNOWN_MODEL]);

const items = [];
let latest = []; // the items sent last, whose results the screen reader announces
const service = new Service(showService);
const sender = new Sender((item) => {
  showCard(item);
  scheduleSummary();
  const replaced = item.state === "failed" && item.error?.code === UNKNOWN_MODEL;
  if (replaced && served().includes(item.model)) service.watch();
});

// Images

function addFiles({ files, skipped = 0, example = false }) {
  const added = Array.from(files, (file) => ({ file, example, model: chosen(), card: newCard(file) }));
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

async function tryExample(path, name) {
  const file = await fileAt(path, name);
  if (file) return addFiles({ files: [file], example: true });
  find("note").textContent = text("lost");
  service.watch();
}

function showHeat(item) {
  showCard(item);
  const { state, shown } = item.heat;
  find("announcement").textContent =
    state === "done" ? (shown ? item.card.querySelector(".heat").alt : "") : messageOf(item.heat);
}

// Summary: one update for all answers that arrive together

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
  document.body.classList.toggle("own", items.some((item) => !item.example));
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
  items.filter(
    ({ state, status, error }) =>
      state === "stopped" || (state === "failed" && (PASSING.has(status) || PASSING.has(error?.code))),
  );

/** Return the text for the screen reader: a single image's answer, or for many images only the summary. */
function announcement() {
  if (latest.length !== 1) return find("summary").textContent;
  const [{ file, card }] = latest;
  const said = card.querySelectorAll(".message, .reason, .doubt, .bars li:first-child > *");
  return [file.name, ...Array.from(said, (element) => element.textContent)].filter(Boolean).join(" ");
}

// Service

function showService() {
  const { status, models } = service;
  if (status === undefined) return;
  const sum = (key) => status?.models.reduce((total, model) => total + model[key], 0);
  const [answering, all] = [sum("workers_in"), sum("workers")];
  const health = !answering ? "none" : answering < all ? "some" : "all";
  find("workers").textContent = status ? text("workers")[health](answering, all) : text("silent");
  find("workers").dataset.health = health;
  if (status) showNames(status.models.map((model) => model.name));
  showModel(models, tryExample);
}

// Language

function showLanguage() {
  document.documentElement.lang = page.language === "zh" ? "zh-CN" : "en";
  document.title = text("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", button.dataset.language === page.language);
  }
  items.forEach(showCard);
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

find("model").addEventListener("change", showService);

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

// These two buttons vanish when used: the focus moves to the summary, which reports the result.
find("stop").addEventListener("click", () => {
  sender.stop();
  find("summary").focus();
});
find("again").addEventListener("click", () => {
  const some = sendable();
  for (const item of some) if (!served().includes(item.model)) item.model = chosen();
  send(some);
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
document.addEventListener("visibilitychange", () => service.watch());

showLanguage();
service.watch();

// The page: files go in, are sent, and their answers are shown. Each part has a module; this one connects them.

import { find, setText } from "./dom.js";
import { page, remember } from "./language.js";
import { chosen, served, showModel, showNames } from "./models.js";
import { Results } from "./results/results.js";
import { FINISHED, lineOf, scoreOf, troubleOf, unanswered } from "./results/words.js";
import { showBanner } from "./sending/banner.js";
import { fileAt } from "./sending/files.js";
import { onFiles } from "./sending/intake.js";
import { Sender } from "./sending/sender.js";
import { currentSettings, showSettings } from "./sending/settings.js";
import { service } from "./service.js";
import { sparingly } from "./sparingly.js";
import { text } from "./texts.js";
import "./views.js";

// Errors that are not the image's fault, by status or code; 0: the connection broke.
const PASSING = new Set([0, 502, 504, "unknown_model"]);
const NAMED = 5; // skipped files

const items = [];
let latest = []; // the items sent last, whose results the screen reader announces
let count = 0; // of all items ever
let note = () => ""; // a function, so that it can be said in another language
const modelOf = (name) => service.models.find((model) => model.name === name);
const results = new Results(modelOf);
const scheduleShow = sparingly(showResults);
const sender = new Sender({
  changed: scheduleShow,
  held: (hold) => {
    showTrouble();
    if (!hold) service.refresh(); // what it said before may be out of date
  },
  reach: async () => (await service.refresh()) !== null,
  renew,
});

// Images

function addFiles({ files, skipped = [], example = false }) {
  const added = Array.from(files, (file) => ({ file, example, number: (count += 1), ...currentSettings() }));
  const [names, more] = [skipped.slice(0, NAMED), Math.max(0, skipped.length - NAMED)];
  setNote(() => (names.length ? text("skipped", names, more) : added.length ? "" : text("nothing")));
  items.push(...added);
  send(added);
}

function send(some) {
  latest = some;
  sender.add(some);
  scheduleShow();
}

function sendAgain(some) {
  for (const item of some) if (!isServed(item.parameters.model)) item.parameters.model = chosen();
  send(some);
}

const isServed = (model) => model === undefined || served().includes(model);

async function tryExample(path, name) {
  const file = await fileAt(path, name);
  if (file) return addFiles({ files: [file], example: true });
  setNote(() => text("lost"));
  service.watch();
}

/** Give an item whose model is not served any more the current one; return whether it may be sent again. */
async function renew(item) {
  item.renewals = (item.renewals ?? 0) + 1;
  await service.refresh();
  const { model } = item.parameters;
  if (isServed(model)) return item.renewals < 20; // the gateway's list may be a moment behind
  item.parameters.model = chosen();
  setNote(() => text("replaced", model, chosen() ?? served()[0]));
  return true;
}

function setNote(words) {
  note = words;
  find("note").textContent = note();
}

// Results

function showResults() {
  const finished = items.filter((item) => FINISHED.has(item.state)).length;
  const lost = items.filter(unanswered).length;
  const again = sendable().length;
  const running = finished < items.length;
  document.body.classList.toggle("filled", items.length > 0);
  document.body.classList.toggle("own", items.some((item) => !item.example));
  find("results").hidden = items.length === 0;
  setText(find("summary"), text("summary", finished, items.length) + (lost ? text("unanswered", lost) : ""));
  find("progress").style.setProperty("--done", running ? finished / items.length : 1);
  find("stop").hidden = !running;
  find("again").hidden = running || again === 0;
  find("again").textContent = text("again", again);
  find("rerun").hidden = running || items.length === 0;
  results.show(items);
  setText(find("announcement"), running || items.length === 0 ? "" : announcement());
  showTrouble();
}

const sendable = () =>
  items.filter(
    ({ state, status, error }) =>
      state === "stopped" || (state === "failed" && (PASSING.has(status) || PASSING.has(error?.code))),
  );

/** Return the text for the screen reader: a single image's answer, or for many images only the summary. */
function announcement() {
  if (latest.length !== 1) return find("summary").textContent;
  const [item] = latest;
  return [item.file.name, lineOf(item), scoreOf(item), troubleOf(item)[1]].filter(Boolean).join(" ");
}

// Service

function showService() {
  const { status, models } = service;
  if (status === undefined) return;
  const sum = (key) => status?.models.reduce((total, model) => total + model[key], 0);
  const [answering, all] = [sum("workers_in"), sum("workers")];
  const health = !answering ? "none" : answering < all ? "some" : "all";
  find("workers").textContent = status ? text("workers")[health](answering, all) : text(service.locked ? "locked" : "silent");
  find("workers").dataset.health = health;
  if (status) showNames(status.models.map((model) => model.name));
  showModel(models, tryExample);
  showSettings(modelOf(find("model").value));
  const pool = status?.models.find(({ name }) => name === find("model").value);
  if (pool) sender.setWorkers(pool.workers_in);
  if (status && sender.hold?.reason === "away" && sender.hold.until) sender.resume();
  showTrouble();
}

function showTrouble() {
  const pool = service.status?.models.find(({ name }) => name === find("model").value);
  const [silent, closed] = [service.status === null && !service.locked, pool?.workers_in === 0];
  showBanner({ hold: sender.hold, waiting: sender.unfinished, silent, closed });
}

// Language

function showLanguage() {
  document.documentElement.lang = page.language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", button.dataset.language === page.language);
  }
  setNote(note);
  showResults();
  showSettings(modelOf(find("model").value));
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

onFiles(addFiles);

// These buttons vanish when used: the focus moves to the summary, which reports the result.
find("stop").addEventListener("click", () => {
  sender.stop();
  find("summary").focus();
});
find("again").addEventListener("click", () => {
  sendAgain(sendable());
  find("summary").focus();
});
find("rerun").addEventListener("click", () => {
  for (const item of items) Object.assign(item, currentSettings());
  send(items);
  find("summary").focus();
});
find("clear").addEventListener("click", () => {
  sender.stop();
  items.length = 0;
  latest = [];
  results.clear();
  setNote(() => "");
  find("files").focus();
  showResults();
});
document.addEventListener("visibilitychange", () => service.watch());
document.addEventListener("keyneeded", () => (find("workers").textContent = text("locked")));

find("incomplete").remove(); // all modules are there
showLanguage();
service.onAnswer(showService);
service.watch();

// The cluster view: GET /status each second while it is shown.

import { find } from "../dom.js";
import { element, setText } from "../element.js";
import { fetchWithKey } from "../key.js";
import { onLanguage } from "../language.js";
import { showModels } from "./models.js";
import { showServers } from "./servers.js";
import { byServer, changedSince, stateOf } from "./status.js";
import { text } from "./texts.js";

const POLL_MS = 1000;
const TIMEOUT_MS = 4000;
const STALE_MS = 5000;
const MOST_ANNOUNCED = 3;

const parts = {};
const cards = new Map(); // by model
const servers = new Map(); // by name
let status; // the last answer
let answeredAt = null; // when it came, and when its `as_of` last changed, in milliseconds
let reportedAt = null;
let answers = true; // whether the last request had an answer
let states = new Map(); // by worker, as shown last
let shown = false;
let refused = false; // whether the status is not for the page's key
let poll;

export function show() {
  if (!parts.title) build();
  shown = true;
  watch();
}

export function hide() {
  shown = false;
  clearTimeout(poll);
}

function build() {
  const part = (name, tag, properties, ...children) => (parts[name] = element(tag, properties, ...children));
  find("view-cluster").append(
    element(
      "div",
      { className: "view-head" },
      part("title", "h2"),
      part("summary", "p", { className: "quiet" }),
      part("json", "a", { href: "status" }),
    ),
    part("trouble", "p", { className: "trouble", role: "status" }),
    part("changes", "p", { className: "unseen", role: "status" }),
    part("modelsTitle", "h3"),
    part("models", "ul", { className: "model-cards" }),
    part("serversTitle", "h3"),
    part("servers", "div", { className: "servers" }),
  );
}

async function watch() {
  clearTimeout(poll);
  if (!shown || document.hidden) return;
  const found = await ask();
  answers = found !== null;
  if (found) {
    if (found.as_of !== status?.as_of) reportedAt = Date.now();
    answeredAt = Date.now();
    status = found;
  }
  showAll();
  clearTimeout(poll);
  if (shown) poll = setTimeout(watch, POLL_MS);
}

function ask() {
  return fetchWithKey("status", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) })
    .then((response) => {
      refused = [401, 403].includes(response.status);
      return response.ok ? response.json() : null;
    })
    .catch(() => null);
}

function showAll() {
  for (const name of ["title", "json"]) setText(parts[name], text(name));
  setText(parts.trouble, trouble());
  find("view-cluster").classList.toggle("outdated", !answers);
  if (!status) return;
  for (const name of ["models", "servers"]) setText(parts[`${name}Title`], text(name));
  const serving = status.workers.filter((worker) => worker.in).length;
  setText(parts.summary, text("summary", serving, status.workers.length, byServer(status.workers).size));
  showModels(parts.models, cards, status);
  showServers(parts.servers, servers, status);
  announce();
}

function trouble() {
  const seconds = (since) => Math.max(1, Math.round((Date.now() - since) / 1000));
  if (refused) return text("refused");
  if (!answers) return text("silent", answeredAt && seconds(answeredAt));
  return Date.now() - reportedAt > STALE_MS ? text("stale", seconds(reportedAt)) : "";
}

/** Have the workers read out whose state has changed. */
function announce() {
  const changed = changedSince(states, status.workers);
  states = new Map(status.workers.map((worker) => [worker.worker, stateOf(worker)]));
  if (changed.length === 0) return;
  const said = changed.slice(0, MOST_ANNOUNCED).map((worker) => {
    const state = stateOf(worker);
    return text("changed", worker.worker, text("states")[state] ?? state);
  });
  const left = changed.length - said.length;
  parts.changes.textContent = [...said, ...(left ? [text("more", left)] : [])].join(". ");
}

onLanguage(() => parts.title && showAll());
document.addEventListener("visibilitychange", watch);

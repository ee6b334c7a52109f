// The cluster view: the service's status, which is asked for each second while it is shown.

import { element, find, setText } from "../dom.js";
import { onLanguage } from "../language.js";
import { POLL_MS, service } from "../service.js";
import { showModels } from "./models.js";
import { showServers } from "./servers.js";
import { byServer, changedSince, stateOf } from "./status.js";
import { text } from "./texts.js";

const SHOWN_POLL_MS = 1000;
const STALE_MS = 5000;
const MOST_ANNOUNCED = 3;

const parts = {};
const cards = new Map(); // by model
const servers = new Map(); // by name
let status; // the last answer
let answeredAt = null; // when it came, and when its `as_of` last changed, in milliseconds
let reportedAt = null;
let states = new Map(); // by worker, as shown last
let shown = false;

export function show() {
  if (!parts.title) build();
  shown = true;
  service.everyMs = SHOWN_POLL_MS;
  service.watch();
}

export function hide() {
  shown = false;
  service.everyMs = POLL_MS;
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

function onAnswer() {
  if (service.status && !service.refused) {
    if (service.status.as_of !== status?.as_of) reportedAt = Date.now();
    answeredAt = Date.now();
    status = service.status;
  }
  if (shown) showAll();
}

function showAll() {
  for (const name of ["title", "json"]) setText(parts[name], text(name));
  setText(parts.trouble, trouble());
  find("view-cluster").classList.toggle("outdated", service.status === null);
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
  if (service.refused) return text("refused");
  if (service.status === null) return text("silent", answeredAt && seconds(answeredAt));
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
service.onAnswer(onAnswer);

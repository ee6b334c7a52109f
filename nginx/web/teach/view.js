// The Teach view: it shows the state of the service that `make teach-page` starts, and asks again while it is shown.

import { element, find, withCode } from "../dom.js";
import { onLanguage } from "../language.js";
import { connect, drop as take, follow, formParts, isSending } from "./form.js";
import { jobPart, servedPart } from "./outcome.js";
import { ask, Fault, keep } from "./service.js";
import { text } from "./texts.js";

const POLL_MS = 1000;
const CLOSED = new Set(["off", "away", "unreachable", "other_host", "other_origin", "wrong_key"]); // nothing can be done

const chosen = {}; // in the lists of models
let state = null;
let fault = null; // of the last request
let shown = false;
let poll;
let rendered = ""; // what is shown; rendering it again would lose the focus

export function show(inside) {
  shown = true;
  if (inside) keep(inside);
  watch();
}

export function hide() {
  shown = false;
  clearTimeout(poll);
}

/** Take what was dropped on the page while this view is shown. */
export const drop = (transfer) => isOpen() && take(transfer);

const isOpen = () => state !== null && !state.upload && state.job?.outcome !== "running";

async function watch() {
  clearTimeout(poll);
  if (!shown || document.hidden) return;
  if (!isSending()) await settle(ask("GET", "state"), CLOSED.has(fault?.code) || !fault);
  clearTimeout(poll);
  if (shown) poll = setTimeout(watch, POLL_MS);
}

/** Show the state that a request results in, or its fault; a fault of before stays unless `clears`. */
async function settle(request, clears = true) {
  try {
    state = await request;
    follow(state.job);
    if (clears) fault = null;
  } catch (error) {
    fault = error instanceof Fault ? error : new Fault("failed", String(error));
    if (CLOSED.has(fault.code)) state = null;
  }
  render();
}

async function act(method, route, body) {
  await settle(ask(method, route, body));
  showFault();
}

const showFault = () => fault && find("view-teach").querySelector(".trouble").scrollIntoView({ block: "center" });

connect(
  (after) => {
    state = after ?? state;
    fault = null;
    render(true);
    if (after) watch();
  },
  async (error) => {
    await settle(ask("GET", "state"));
    fault = error ?? fault;
    render(true);
    showFault();
  },
);

function render(always = false) {
  const now = JSON.stringify([document.documentElement.lang, state, fault?.code, fault?.file, isSending()]);
  if (!always && now === rendered) return;
  rendered = now;
  const focused = document.activeElement?.id;
  find("view-teach").replaceChildren(
    element("div", { className: "view-head" }, element("h2", { tabIndex: -1 }, text("title")), element("p", { className: "quiet" }, text("lead"))),
    element("p", { className: "trouble", role: "status" }, troubleParts()),
    ...(state ? stateParts() : []),
  );
  if (focused?.startsWith("teach-")) find(focused)?.focus();
}

function troubleParts() {
  if (!fault) return [];
  const known = text("errors")[fault.code] ?? text("errors").failed;
  return [fault.file ? `${fault.file}: ` : "", ...withCode(known)];
}

function stateParts() {
  const { upload, job } = state;
  const running = job?.outcome === "running";
  const left = upload && !running && !isSending();
  const parts = [];
  if (job && !isSending()) parts.push(jobPart(job, state, act));
  if (left) parts.push(unfinishedPart(upload.name));
  else if (!running) parts.push(...formParts(state.models));
  if (running || upload || isSending()) return parts;
  const place = job?.kind === "use" ? 1 : parts.length; // after a change, what can be taken back comes first
  parts.splice(place, 0, servedPart(state, chosen, act));
  return parts;
}

function unfinishedPart(name) {
  const discard = element("button", { type: "button", className: "button", id: "teach-discard", click: () => act("DELETE", "upload") }, text("discard"));
  return element("section", { className: "teach-part" }, element("p", {}, text("unfinished", name)), element("div", { className: "teach-row" }, discard));
}

onLanguage(() => shown && render());
document.addEventListener("visibilitychange", watch);

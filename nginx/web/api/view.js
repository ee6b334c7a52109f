// The API view: the service's OpenAPI document, fetched when the view is first shown.

import { element, find, withCode } from "../dom.js";
import { requestWithKey } from "../key.js";
import { onLanguage } from "../language.js";
import { newCode } from "./code.js";
import { newOperation, operationsOf } from "./operations.js";
import { meaningOf, text } from "./texts.js";

const RETRY_MS = 3000;
const ERROR_LINE = /^- `(\w+)` \((\d+)\): (.*)$/;

let api; // the document
let models = [];
let failed = false;
let shown = false;
let wanted = ""; // the operation that the address names
let retry;

export function show(inside) {
  shown = true;
  wanted = inside;
  if (!find("view-api").firstChild) render();
  if (api) open();
  else load();
}

export function hide() {
  shown = false;
  clearTimeout(retry);
}

async function load() {
  clearTimeout(retry);
  const [found, served] = await Promise.all([ask("openapi.json"), ask("models")]);
  models = served?.models ?? models;
  api ??= found;
  failed = !api;
  render();
  if (api) open();
  else if (shown) retry = setTimeout(load, RETRY_MS);
}

const ask = (path) =>
  requestWithKey(path)
    .then((response) => (response.ok ? response.json() : null))
    .catch(() => null);

function render() {
  const url = new URL(".", document.baseURI).href.replace(/\/$/, "");
  find("view-api").replaceChildren(
    element(
      "div",
      { className: "view-head" },
      element("h2", {}, text("title")),
      element("p", { className: "quiet" }, text("lead")),
      element("a", { href: "openapi.json" }, text("json")),
    ),
    newCode(url),
    ...(api ? described() : [element("p", { className: failed ? "trouble" : "quiet", role: "status" }, text(failed ? "lost" : "loading"))]),
  );
}

function described() {
  const groups = Object.entries(operationsOf(api)).filter(([, operations]) => operations.length);
  const sections = groups.map(([group, operations]) =>
    element(
      "section",
      { className: "operations" },
      element("h3", {}, text("groups")[group]),
      operations.map((operation) => newOperation(api, operation, () => models)),
    ),
  );
  return [...sections, errorTable()];
}

/** Return the table of error codes, which the document has as the lines of a description. */
function errorTable() {
  const lines = (api.components.schemas.ErrorCode?.description ?? "").split("\n");
  const rows = lines.map((line) => line.match(ERROR_LINE)).filter(Boolean);
  const heading = text("errorColumns").map((title) => element("th", { scope: "col" }, title));
  const body = rows.map(([, code, status, meaning]) =>
    element("tr", {}, element("th", { scope: "row" }, element("code", {}, code)), element("td", {}, status), meaningCell(code, meaning)),
  );
  const table = element("table", {}, element("thead", {}, element("tr", {}, heading)), element("tbody", {}, body));
  return element("details", { className: "operation errors", id: "api-errors" }, element("summary", {}, element("h4", {}, text("errors"))), table);
}

function meaningCell(code, english) {
  const [lang, meaning] = meaningOf(code, english);
  return element("td", { lang }, withCode(meaning));
}

/** Open the operation that the address names. */
function open() {
  const entry = wanted && document.getElementById(`api-${wanted}`);
  if (!entry) return;
  entry.open = true;
  entry.scrollIntoView();
  entry.querySelector("summary").focus({ preventScroll: true });
}

onLanguage(() => {
  const view = find("view-api");
  if (!view.firstChild) return;
  const opened = Array.from(view.querySelectorAll("details.operation[open]"), ({ id }) => id);
  render();
  for (const id of opened) find(id).open = true;
});

// "Try it": a form that sends a request of one operation and shows status, headers and answer.

import { element } from "../dom.js";
import { exampleOf, fieldsOf, resolve } from "./schema.js";
import { text } from "./texts.js";
import { showAnswer } from "./trial_answer.js";

const FORM = "multipart/form-data";
const JSON_TYPE = "application/json";
let numbered = 0; // makes every field's id unique

/** Return the form of an operation; `served()` returns the models, whose first fills in a path. */
export function newTrial(api, method, path, operation, served) {
  const fields = (operation.parameters ?? []).map((parameter) => newField(api, parameter, served()));
  const content = operation.requestBody?.content;
  const body = content && newBody(api, content);
  const answer = element("div", { className: "trial-answer" });
  const status = element("p", { className: "trial-status", role: "status" });
  const button = element("button", { type: "submit", className: "button main" }, text("send"));
  const submit = async (event) => {
    event.preventDefault();
    const sent = body ? body.value() : {};
    if (!sent) return void (status.textContent = text("choose"));
    button.disabled = true;
    answer.replaceChildren();
    status.textContent = text("sending");
    await showAnswer(addressOf(path, fields), { method: method.toUpperCase(), ...sent }, status, answer);
    button.disabled = false;
  };
  return element(
    "form",
    { className: "trial", submit },
    element("h4", {}, text("try")),
    element("div", { className: "trial-parameters" }, fields.map(({ row }) => row)),
    body?.rows,
    button,
    status,
    answer,
  );
}

/** Return the path with its parameters filled in, relative to the page, and the query of all others that have a value. */
function addressOf(path, fields) {
  const query = new URLSearchParams();
  let filled = path.slice(1);
  for (const { name, place, control } of fields) {
    if (place === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(control.value));
    else if (control.value !== "") query.append(name, control.value);
  }
  return query.size ? `${filled}?${query}` : filled;
}

function newField(api, { name, in: place, schema }, models) {
  const found = resolve(api, schema);
  const choices = found.enum ?? (found.type === "boolean" ? [true, false] : null);
  const control = choices ? newChoice(choices) : element("input", { type: "text", autocomplete: "off", spellcheck: false });
  if (place === "path") {
    control.value = { name: models[0]?.name, version: models[0]?.version, number: 0 }[name] ?? "";
    control.required = true;
  }
  return { name, place, control, row: labelled(element("code", {}, name), control) };
}

function newChoice(choices) {
  const unset = element("option", { value: "" }, text("unset"));
  return element("select", {}, unset, choices.map((choice) => element("option", { value: String(choice) }, String(choice))));
}

function labelled(label, control) {
  control.id = `trial-${(numbered += 1)}`;
  return element("div", { className: "trial-field" }, element("label", { htmlFor: control.id }, label), control);
}

/** Return the rows for a body, and `value()`: what request() needs of it, or null while no file is chosen. */
function newBody(api, content) {
  const kinds = [
    content[FORM] && formKind(api, content[FORM].schema),
    Object.keys(content).some((type) => type.startsWith("image/")) && fileKind(),
    content[JSON_TYPE] && jsonKind(api, content[JSON_TYPE]),
  ].filter(Boolean);
  const select = element("select", {}, kinds.map(({ title }) => element("option", {}, title)));
  const choose = () => kinds.forEach(({ row }, place) => (row.hidden = place !== select.selectedIndex));
  select.addEventListener("change", choose);
  choose();
  const rows = [kinds.length > 1 && labelled(text("bodyKind"), select), ...kinds.map(({ row }) => row)];
  return { rows, value: () => kinds[select.selectedIndex].value() };
}

function formKind(api, schema) {
  const isFile = (one) => [one, one.items].some((part) => part && resolve(api, part).format === "binary");
  const { name, schema: files } = fieldsOf(api, schema).find((one) => isFile(resolve(api, one.schema)));
  const input = element("input", { type: "file", multiple: resolve(api, files).type === "array" });
  const value = () => {
    const form = new FormData();
    for (const file of input.files) form.append(name, file);
    return input.files.length ? { body: form } : null;
  };
  return { title: `${text("form")} (${FORM})`, row: labelled(element("code", {}, name), input), value };
}

function fileKind() {
  const input = element("input", { type: "file" });
  const value = () => (input.files.length ? { body: input.files[0] } : null);
  return { title: text("file"), row: labelled(text("file"), input), value };
}

function jsonKind(api, { schema, example }) {
  const value = JSON.stringify(example ?? exampleOf(api, schema), null, 2);
  const input = element("textarea", { value, rows: Math.min(12, value.split("\n").length + 3), spellcheck: false });
  const request = () => ({ body: input.value, headers: { "Content-Type": JSON_TYPE } });
  return { title: `JSON (${JSON_TYPE})`, row: labelled("JSON", input), value: request };
}

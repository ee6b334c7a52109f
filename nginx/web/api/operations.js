// The document's operations: a foldable entry for each, whose inside is made when it is opened.

import { element, withCode } from "../dom.js";
import { exampleOf, fieldsOf, nameOf, resolve, typeOf } from "./schema.js";
import { descriptionOf, summaryOf, text } from "./texts.js";
import { newTrial } from "./trial.js";

const METHODS = ["get", "post", "put"];
const GROUPS = ["predict", "models", "v2", "v1", "predictions"]; // by the start of the path; all others: health
const DEEPEST = 6;

/** Return the operations of the document by group: `{ id, method, path, operation }`. */
export function operationsOf(api) {
  const groups = Object.fromEntries([...GROUPS, "health"].map((group) => [group, []]));
  for (const [path, methods] of Object.entries(api.paths)) {
    const start = path.split("/")[1];
    for (const method of METHODS.filter((one) => methods[one])) {
      const id = `${method}${path.replaceAll(/[^a-z0-9]+/gi, "-").replace(/-$/, "")}`;
      const group = GROUPS.includes(start) ? start : "health";
      groups[group].push({ id, method, path, operation: methods[method] });
    }
  }
  return groups;
}

/** Return the entry of an operation; `served()` returns the models for the form. */
export function newOperation(api, { id, method, path, operation }, served) {
  const [lang, summary] = summaryOf(operation.summary);
  const title = element(
    "summary",
    {},
    element("span", { className: `method ${method}` }, method.toUpperCase()),
    element("code", {}, path),
    element("span", { className: "quiet", lang }, summary),
  );
  const fill = () => {
    if (!entry.open || entry.children.length > 1) return;
    const trial = newTrial(api, method, path, operation, served);
    entry.append(element("div", { className: "inside" }, trial, inside(api, operation)));
  };
  const entry = element("details", { className: "operation", id: `api-${id}`, toggle: fill }, title);
  return entry;
}

function inside(api, { parameters = [], requestBody, responses }) {
  const queried = parameters.filter((one) => one.in === "query");
  const asked = { api, request: true, above: new Set() };
  const body = { ...asked, above: new Set(queried.map(({ name }) => name)) };
  const answered = { ...asked, request: false };
  return [
    parameters.length > 0 && section("parameters", list(asked, parameters, new Set(), 0)),
    requestBody && section("body", kindsOf(requestBody.content).map((kind) => bodyKind(body, kind))),
    section("answers", Object.entries(responses).map(([status, one]) => answer(answered, status, one))),
  ].filter(Boolean);
}

const section = (key, ...children) => element("section", {}, element("h4", {}, text(key)), children);

/** Return the forms that a body may have; those of the same schema, such as all formats of images, share one. */
function kindsOf(content) {
  const kinds = {};
  for (const [type, one] of Object.entries(content)) {
    const kind = (kinds[JSON.stringify(one.schema)] ??= { types: [], ...one });
    kind.types.push(type);
  }
  return Object.values(kinds);
}

function bodyKind(context, { types, schema, example }) {
  return element(
    "div",
    { className: "kind" },
    element("p", {}, types.flatMap((type, place) => [place ? ", " : "", element("code", {}, type)])),
    fields(context, schema),
    types.includes("application/json") && exampleBlock(example ?? exampleOf(context.api, schema)),
  );
}

function answer(context, status, { description, content = {} }) {
  const title = element("b", {}, status);
  if (!status.startsWith("2")) {
    return element("p", { className: "kind" }, element("span", {}, title, " ", element("span", { lang: "en" }, description)));
  }
  const json = content["application/json"];
  return element(
    "div",
    { className: "kind" },
    element("p", {}, title, " ", Object.keys(content).join(", ")),
    json && fields(context, json.schema),
    json && exampleBlock(json.example ?? exampleOf(context.api, json.schema)),
  );
}

const exampleBlock = (value) =>
  element("pre", { tabIndex: 0, role: "group", "aria-label": text("example") }, JSON.stringify(value, null, 2));

/** Return the list of a schema's fields without those that stand above; `seen` has the names of the schemas around. */
function fields(context, schema, seen = new Set(), depth = 0) {
  const all = fieldsOf(context.api, schema);
  if (all.length === 0 || seen.has(nameOf(schema)) || depth > DEEPEST) return null;
  const own = all.filter(({ name }) => !context.above.has(name));
  const known = new Set([...seen, nameOf(schema)].filter(Boolean));
  return [
    own.length > 0 && list(context, own, known, depth),
    own.length < all.length && element("p", { className: "quiet small" }, text("above", own.length)),
  ];
}

const list = (context, some, seen, depth) =>
  element("ul", { className: "fields" }, some.map((one) => field(context, one, seen, depth)));

function field(context, { name, schema, required }, seen, depth) {
  const { description } = resolve(context.api, schema);
  return element(
    "li",
    {},
    element("code", {}, name),
    " ",
    element("span", { className: "type", lang: "en" }, typeOf(context.api, schema)),
    context.request && required && element("span", { className: "required" }, ` ${text("required")}`),
    description && nameOf(schema) !== "ErrorCode" && paragraph(descriptionOf(name, description)),
    fields(context, schema, seen, depth + 1),
  );
}

const paragraph = ([lang, said]) => element("p", { className: "quiet small", lang }, withCode(said));

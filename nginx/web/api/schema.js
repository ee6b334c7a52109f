// The document's JSON schemas: references followed, types in words, the fields below, and an example. All pure.

const FEW = 6; // values that are listed
const DEEPEST = 8;
// The smallest useful image: a red square of 8 by 8 pixels, as PNG.
const IMAGE =
  "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM8YWPDgA0wMeAAg1MCAP8UAVA8mjsgAAAAAElFTkSuQmCC";

export const nameOf = (schema) => schema.$ref?.split("/").at(-1);

/** Return the schema itself, or the one that it refers to. */
export function resolve(api, schema) {
  if (!schema.$ref) return schema;
  return resolve(api, schema.$ref.slice(2).split("/").reduce((found, key) => found[key], api));
}

/** Return a schema's type in words, such as `list of Prediction` or `integer from 1`. */
export function typeOf(api, schema) {
  const found = resolve(api, schema);
  const either = found.anyOf ?? found.oneOf;
  if (either) return [...new Set(either.map((one) => typeOf(api, one)))].join(" | ");
  if (found.enum) return found.enum.length > FEW ? nameOf(schema) : found.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (found.const !== undefined) return JSON.stringify(found.const);
  if (found.type === "array") return `list of ${typeOf(api, found.items ?? {})}${found.maxItems > 1 ? `, at most ${found.maxItems}` : ""}`;
  if (found.type === "object") return nameOf(schema) ?? "object";
  if (found.format === "binary") return "file";
  if (found.contentEncoding) return `string (${found.contentEncoding})`;
  return [found.type ?? "any"].flat().join(" | ") + range(found);
}

function range({ minimum, maximum }) {
  if (maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  return minimum ? ` from ${minimum}` : "";
}

/** Return the fields of an object, of a list's entries or of each alternative: `{ name, schema, required }`. */
export function fieldsOf(api, schema) {
  const found = resolve(api, schema);
  if (found.type === "array") return fieldsOf(api, found.items ?? {});
  const either = found.anyOf ?? found.oneOf ?? [];
  const own = Object.entries(found.properties ?? {}).map(([name, one]) => {
    return { name, schema: one, required: (found.required ?? []).includes(name) };
  });
  const all = [...own, ...either.flatMap((one) => fieldsOf(api, one))];
  return all.filter(({ name }, place) => all.findIndex((other) => other.name === name) === place);
}

/** Return a value that fits the schema, of an object only what it must have. */
export function exampleOf(api, schema, depth = 0) {
  const found = resolve(api, schema);
  if (depth > DEEPEST) return null;
  const stated = found.examples?.[0] ?? found.default ?? found.const ?? found.enum?.[0];
  if (stated !== undefined) return stated;
  const either = found.anyOf ?? found.oneOf;
  if (either) return exampleOf(api, either[0], depth);
  if (found.type === "object") return objectOf(api, found, depth);
  if (found.type === "array") return [exampleOf(api, found.items ?? {}, depth + 1)];
  return plain(found);
}

function objectOf(api, { properties = {}, required = [] }, depth) {
  const names = Object.keys(properties).filter((name) => required.includes(name));
  return Object.fromEntries(names.map((name) => [name, exampleOf(api, properties[name], depth + 1)]));
}

function plain({ type, minimum, contentEncoding }) {
  if (contentEncoding) return IMAGE;
  return { integer: minimum ?? 0, number: 0.5, boolean: true, string: "text" }[[type].flat()[0]] ?? null;
}

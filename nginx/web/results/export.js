// Answers as a CSV or JSON file, in the same form as `make classify OUT=`, and on the clipboard.

import { labelOf } from "../texts.js";

const BOM = "\uFEFF"; // by which spreadsheet programs know UTF-8
// A spreadsheet program runs a cell that begins so as a formula; one that begins with ' is marked, too, so that no two
// names get the same cell.
const FORMULA = /^(\s*[=+\-@＝＋－＠']|[\t\r\n])/;
const ERROR = "error";

const exported = (items) => items.filter(({ state }) => state === "done" || state === "failed");

/** Return the items as CSV: a line each, with columns for as many classes as any answer has. */
export function csvOf(items) {
  const done = exported(items);
  const classes = Math.max(1, ...done.map(({ answer }) => answer?.predictions.length ?? 0));
  const lines = [headOf(classes), ...done.map((item) => rowOf(item, classes))];
  return BOM + lines.map((cells) => `${cells.map(cellOf).join(",")}\r\n`).join("");
}

function headOf(classes) {
  const suffixes = Array.from({ length: classes }, (_, rank) => (rank ? `_${rank + 1}` : ""));
  const columns = suffixes.flatMap((suffix) => ["label", "score", "index"].map((name) => name + suffix));
  return ["file", ...columns, "confident", "attributes", "model", "version", "ms", ERROR, "message"];
}

function rowOf(item, classes) {
  const { file, answer } = item;
  if (item.state !== "done") {
    const { code, message } = errorOf(item);
    return [file.name, ...Array(3 * classes + 5).fill(null), code, message];
  }
  const found = answer.predictions.flatMap((row) => [labelOf(row), row.score, row.index]);
  const padding = Array(3 * classes - found.length).fill(null);
  const about = [answer.confident, attributesOf(answer), answer.model, answer.version, answer.timing_ms.total];
  return [file.name, ...found, ...padding, ...about, null, null];
}

function attributesOf({ attributes = {} }) {
  const scored = (row) => `${labelOf(row)} ${row.score}`;
  return Object.entries(attributes)
    .map(([name, found]) => `${name}: ${[found].flat().map(scored).join(", ")}`)
    .join("; ");
}

function cellOf(value) {
  if (value === null || value === undefined) return '""';
  if (typeof value === "number") return String(value);
  const words = String(value);
  return `"${(FORMULA.test(words) ? `'${words}` : words).replaceAll('"', '""')}"`;
}

/** Return the items as a JSON list, an object on each line: `file`, and the service's answer or its error. */
export const jsonOf = (items) => `[\n${exported(items).map((item) => JSON.stringify(recordOf(item))).join(",\n")}\n]\n`;

const recordOf = (item) =>
  item.state === "done" ? { file: item.file.name, ...item.answer } : { file: item.file.name, [ERROR]: errorOf(item) };

function errorOf({ status, error }) {
  return { code: error?.code ?? `http_${status}`, message: error?.message ?? "", request_id: error?.request_id };
}

/** Let the user save `words` as a file. */
export function download(words, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([words], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Put the answer of `item` on the clipboard as JSON; return whether that worked. */
export function copyAnswer(item, place) {
  const words = JSON.stringify(recordOf(item), null, 2);
  if (navigator.clipboard) return navigator.clipboard.writeText(words).then(() => true, () => false);
  // Without TLS, browsers have the clipboard's older way alone.
  const area = document.createElement("textarea");
  area.value = words;
  place.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}

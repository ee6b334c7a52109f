// What a tried request was answered: status, time, headers and body.

import { element } from "../dom.js";
import { requestWithKey } from "../key.js";
import { text } from "./texts.js";

const LONGEST = 300; // characters of a string in an answer, such as a heat map
const MOST = 100_000; // characters of a whole answer

/** Send the request, and show what it is answered in `status` and `answer`. */
export async function showAnswer(address, request, status, answer) {
  const started = performance.now();
  try {
    const response = await requestWithKey(address, request);
    const blob = await response.blob();
    const took = text("took", Math.round(performance.now() - started), blob.size);
    status.textContent = `${response.status} ${response.statusText}`.trim() + ` · ${took}`;
    status.dataset.ok = response.ok;
    answer.replaceChildren(headersOf(response), await bodyOf(blob));
  } catch {
    status.textContent = text("away");
    status.dataset.ok = false;
  }
}

function headersOf({ headers }) {
  const all = [...headers];
  const lines = all.map(([name, value]) => `${name}: ${value}`).join("\n");
  return element("details", {}, element("summary", {}, text("headers", all.length)), element("pre", {}, lines));
}

async function bodyOf(blob) {
  if (blob.type.startsWith("image/")) {
    const image = element("img", { alt: blob.type, src: URL.createObjectURL(blob) });
    image.addEventListener("load", () => URL.revokeObjectURL(image.src));
    return image;
  }
  const body = readable(await blob.text());
  const shown = body.length > MOST ? body.slice(0, MOST) + text("cut", body.length) : body;
  return element("pre", { tabIndex: 0, role: "group", "aria-label": text("answers") }, shown);
}

/** Return JSON indented, its long strings cut; any other text as it is. */
function readable(body) {
  const short = (_, value) =>
    typeof value === "string" && value.length > LONGEST ? value.slice(0, LONGEST) + text("cut", value.length) : value;
  try {
    return JSON.stringify(JSON.parse(body), short, 2);
  } catch {
    return body;
  }
}

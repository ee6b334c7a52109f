// "Use it from code": one program at a time, chosen by tabs, and copied by a button.

import { element } from "../dom.js";
import { snippets } from "./snippets.js";
import { text } from "./texts.js";

const COPIED_MS = 2000;
let chosen = "curl";

/** Return the section for the service at `url`. */
export function newCode(url) {
  const programs = snippets(url);
  const pre = element("pre", { id: "code", role: "tabpanel", tabIndex: 0 });
  const copy = element("button", { type: "button", className: "button copy" }, text("copy"));
  copy.addEventListener("click", async () => {
    if (await copied(pre)) copy.textContent = text("copied");
    setTimeout(() => (copy.textContent = text("copy")), COPIED_MS);
  });
  const tabs = programs.map(({ key, name }) =>
    element("button", { type: "button", role: "tab", id: `code-${key}`, "aria-controls": "code", "data-key": key }, name),
  );
  const choose = (key) => {
    chosen = key;
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab.dataset.key === key);
      tab.tabIndex = tab.dataset.key === key ? 0 : -1;
    }
    pre.textContent = programs.find((program) => program.key === key).code;
    pre.setAttribute("aria-labelledby", `code-${key}`);
  };
  for (const tab of tabs) tab.addEventListener("click", () => choose(tab.dataset.key));
  choose(chosen);
  const list = element("div", { role: "tablist", "aria-label": text("languages"), keydown: (event) => move(event, tabs) }, tabs);
  return element("section", { className: "code" }, element("h3", {}, text("code")), element("div", { className: "code-head" }, list, copy), pre);
}

/** Go to another tab by the arrow keys, Home and End. */
function move(event, tabs) {
  const place = tabs.indexOf(document.activeElement);
  const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined || place < 0) return;
  event.preventDefault();
  const tab = tabs[(to + tabs.length) % tabs.length];
  tab.click();
  tab.focus();
}

/** Copy the text of `source` and return whether it was. Without https only the old command is there. */
async function copied(source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    return true;
  } catch {
    const focused = document.activeElement;
    getSelection().selectAllChildren(source);
    const done = document.execCommand("copy");
    getSelection().removeAllRanges();
    focused?.focus();
    return done;
  }
}

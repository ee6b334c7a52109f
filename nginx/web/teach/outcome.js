// What the service does or has done: progress, the result of a teaching, and which model is in service.

import { element } from "../dom.js";
import { text } from "./texts.js";

/** Return the part about the command that runs or has ended; `act(method, route, body)` sends a request. */
export function jobPart({ kind, name, outcome, stage, done, total, faults, summary }, state, act) {
  const parts = {
    running: () => [
      element("h3", {}, text(kind === "teach" ? "teaching" : "using", name)),
      element("p", { role: "status" }, text("counted", text("stages")[stage], done, total)),
      element("progress", { "aria-label": text("title"), ...(total ? { max: total, value: done } : {}) }),
      kind === "teach" && row(button("teach-stop", text("stop"), () => act("DELETE", "job"))),
    ],
    done: () => (kind === "teach" ? taughtParts(name, summary, state, act) : [element("p", { role: "status", id: "teach-served" }, text("nowServed", name))]),
    failed: () => [element("h3", {}, said(text("failed", kind, name))), element("pre", { lang: "en", id: "teach-faults" }, faults.join("\n"))],
    stopped: () => [element("p", { role: "status" }, text("stopped"))],
  };
  return element("section", { className: "teach-part" }, parts[outcome]());
}

function taughtParts(name, summary, { reports, served }, act) {
  const figure = (value, ...words) => element("div", {}, element("dd", {}, value), element("dt", {}, words));
  return [
    element("h3", { id: "teach-done" }, said(text("taught", name))),
    summary &&
      element("dl", { className: "figures" },
        figure(text("share", summary.accuracy), `${text("right")}, ${text("judged", summary.held_out, summary.images)}; ${text("range", ...summary.interval)}`),
        figure(summary.classes, text("classes")),
        summary.doubtful ? figure(summary.doubtful, text("doubtful")) : null),
    row(
      element("a", { id: "teach-report", href: `${reports.slice(1)}${encodeURIComponent(name)}`, target: "_blank", rel: "noopener" }, text("report")),
      served.includes(name) ? null : button("teach-use", text("use", name), () => act("POST", "use", { name, instead_of: "" }), true)),
  ];
}

/** Return the part about the models in service: what can be taken back, and what can be served instead. */
export function servedPart({ served, models, previous }, chosen, act) {
  const others = models.filter((model) => !model.served).map((model) => model.name);
  const back = previous && (() => act("POST", "use", { name: previous.old, instead_of: previous.new }));
  return element("section", { className: "teach-part" },
    element("h3", {}, text("served")),
    element("p", { id: "teach-answers" }, text("answers", served)),
    back && row(button("teach-back", text("back", previous.old, previous.new), back)),
    others.length > 0 && otherChoice(others, served, chosen, act));
}

function otherChoice(others, served, chosen, act) {
  const choice = (id, names, key) => {
    const select = element("select", { id, change: () => (chosen[key] = select.value) }, names.map((name) => element("option", { value: name }, name)));
    if (names.includes(chosen[key])) select.value = chosen[key];
    return select;
  };
  const [model, old] = [choice("teach-other", others, "model"), choice("teach-old", served, "old")];
  const use = () => act("POST", "use", { name: model.value, instead_of: old.value });
  return row(
    element("label", { htmlFor: model.id }, text("other")), model,
    served.length > 1 && [element("label", { htmlFor: old.id }, text("insteadOf")), old],
    button("teach-serve", text("serve"), use));
}

const said = (words) => element("span", { role: "status" }, words);

const row = (...children) => element("div", { className: "teach-row" }, ...children);

const button = (id, words, click, main = false) =>
  element("button", { type: "button", id, className: main ? "button main" : "button", click }, words);

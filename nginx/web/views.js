// The views: one main element each, chosen by the address's fragment, so that links and the back button work.

import * as api from "./api/view.js";
import * as cluster from "./cluster/view.js";
import { find } from "./dom.js";
import { onLanguage } from "./language.js";
import * as teach from "./teach/view.js";
import { text } from "./texts.js";

const VIEWS = { classify: { show() {}, hide() {} }, teach, cluster, api };
const scrolled = {}; // by view
let current;

/** Return the view that the address names, and what it names inside the view, such as ["api", "post-predict"]. */
function named() {
  const [view, inside = ""] = location.hash.slice(1).split("/");
  return Object.hasOwn(VIEWS, view) ? [view, inside] : ["classify", ""];
}

function showView() {
  const [view, inside] = named();
  const before = current;
  if (before && before !== view) {
    scrolled[before] = window.scrollY;
    VIEWS[before].hide();
  }
  current = view;
  for (const name of Object.keys(VIEWS)) find(`view-${name}`).hidden = name !== view;
  for (const link of find("views").children) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  showTitle();
  VIEWS[view].show(inside);
  if (before && before !== view && !inside) start(view);
}

/** Go where the view was left, and have its heading read out. */
function start(view) {
  window.scrollTo(0, scrolled[view] ?? 0);
  const heading = find(`view-${view}`).querySelector("h2");
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

function showTitle() {
  find("views").setAttribute("aria-label", text("views"));
  document.title = current === "classify" ? text("title") : `${text(current)} · ${text("title").split(" · ")[0]}`;
}

// The page takes images anywhere: what belongs to a field of another view stays there, all else leads to its own view.
for (const type of ["paste", "dragover", "drop"]) {
  window.addEventListener(
    type,
    (event) => {
      if (current === "classify") return;
      if (VIEWS[current].drop && type !== "paste") return takeDrop(event);
      if (type === "paste" || event.target.closest?.("input, textarea")) event.stopPropagation();
      else if (type === "drop") location.hash = "#classify";
    },
    { capture: true },
  );
}

/** Give what is dropped to the view that is shown, which takes files itself. */
function takeDrop(event) {
  event.preventDefault();
  event.stopPropagation();
  document.body.classList.toggle("dragging", event.type === "dragover");
  if (event.type === "drop") VIEWS[current].drop(event.dataTransfer);
}

window.addEventListener("hashchange", showView);
onLanguage(showTitle);
showView();

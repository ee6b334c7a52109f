// One banner while the service cannot answer: what is wrong, what waits, and when the next try is.

import { find } from "../dom.js";
import { text } from "../texts.js";

let ticking;

/**
 * Show why nothing is answered: `hold` of the sender with `reason` and `until`, or null; `waiting` images.
 * Without a hold `silent` says that the service does not answer, `closed` that it has no worker.
 */
export function showBanner({ hold, waiting, silent, closed }) {
  const reason = hold?.reason ?? (silent ? "away" : closed ? "unavailable" : null);
  const trouble = reason ? `${text("trouble")[reason]} ${waiting ? text("queued", waiting) : text("recovers")}` : "";
  clearInterval(ticking);
  find("banner").hidden = !trouble;
  if (find("trouble").textContent !== trouble) find("trouble").textContent = trouble; // said once, not at every try
  if (hold && waiting) ticking = setInterval(() => count(hold), 250);
  count(waiting ? hold : null);
}

function count(hold) {
  const seconds = hold && Math.max(0, Math.ceil((hold.until - performance.now()) / 1000));
  find("countdown").textContent = hold ? text("countdown", seconds) : "";
}

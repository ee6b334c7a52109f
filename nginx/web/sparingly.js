// Updates that come often: one for all steps of a while, which is the longer the longer an update takes.

const PAUSE_MS = 30;
const FREE = 4; // times as long as an update the page is free for its user

/** Return a function that has `update` run soon. */
export function sparingly(update) {
  let due = false;
  let took = 0; // ms
  const run = () => {
    due = false;
    const start = performance.now();
    update();
    took = performance.now() - start;
  };
  return () => {
    if (due) return;
    due = true;
    setTimeout(run, Math.max(PAUSE_MS, FREE * took)); // not requestAnimationFrame, which rests in the background
  };
}

// Scale photographs that are far larger than the model's input, so that less is uploaded: which, and how far.

const INPUTS = 2.5; // the shorter side that is kept, as a multiple of the larger side of the model's input
const RESIZES = 2; // and of what the model itself scales images to, before it cuts out the centre
const SMALL = 200_000; // bytes: what is smaller is quick to send as it is
// Of these types the browser and the service decode the same pixels, and there is only one image.
const TYPES = new Set(["image/jpeg", "image/png", "image/webp", "image/avif"]);
const AT_ONCE = 2; // photographs: one takes some 100 MB

/** Return the shorter side in pixels that images for `model` are scaled to, or null if they must not be scaled. */
export function sideFor(model) {
  const { height, width, channels, resize, tiled } = model?.input ?? {};
  if (channels !== 3 || tiled !== false) return null;
  return Math.ceil(Math.max(INPUTS * height, INPUTS * width, RESIZES * Math.max(...[resize ?? 0].flat())));
}

/**
 * Return `file`, or a JPEG of it whose shorter side is `side` pixels if that is far smaller.
 * EXIF's orientation is applied. What the browser cannot decode, and what is transparent, is returned as it is.
 */
export async function scaled(file, side) {
  if (!side || file.size < SMALL || !TYPES.has(file.type)) return file;
  return (await new Promise((resolve) => ask({ file, side, resolve }))) ?? file;
}

const waiting = []; // jobs
const running = new Map(); // from a worker to its job
const idle = [];
let broken = false; // the browser has no modules in workers

function ask(job) {
  waiting.push(job);
  if (broken) return giveUp();
  if (!idle.length && running.size < AT_ONCE) idle.push(newWorker());
  if (idle.length) run(idle.pop());
}

function newWorker() {
  const worker = new Worker(new URL("../scaling/worker.js", import.meta.url), { type: "module" });
  worker.onerror = giveUp;
  return worker;
}

function run(worker) {
  const { file, side, resolve } = waiting.shift();
  running.set(worker, { resolve });
  worker.onmessage = ({ data }) => {
    running.delete(worker);
    resolve(data);
    if (waiting.length) run(worker);
    else idle.push(worker);
  };
  worker.postMessage({ file, side });
}

function giveUp() {
  broken = true;
  for (const { resolve } of [...running.values(), ...waiting.splice(0)]) resolve(null);
}

// Small copies of images for the list: made when they come into view, and only the latest are kept.

const SIDE = 96; // pixels
const KEPT = 300;
const AT_ONCE = 2;

const made = new Map(); // item -> address, the longest unused first
const wanted = new Map(); // item -> what to call with its address, the latest last
let running = 0;

/** Call `show(address)` when the thumbnail of `item` is ready; the address is empty if the browser cannot decode it. */
export function thumbnail(item, show) {
  const address = made.get(item);
  if (address === undefined) {
    wanted.set(item, show);
    return run();
  }
  made.delete(item);
  made.set(item, address);
  show(address);
}

/** Do not make the thumbnail of `item` if that has not begun: it is out of view again. */
export const unwanted = (item) => wanted.delete(item);

export function forgetThumbnails() {
  wanted.clear();
  for (const address of made.values()) URL.revokeObjectURL(address);
  made.clear();
}

async function run() {
  if (running === AT_ONCE) return;
  running += 1;
  for (let item; (item = [...wanted.keys()].at(-1)); ) {
    const show = wanted.get(item);
    wanted.delete(item);
    const address = await newThumbnail(item.file).catch(() => "");
    made.set(item, address);
    show(address);
    forgetOldest();
  }
  running -= 1;
}

function forgetOldest() {
  if (made.size <= KEPT) return;
  const [item, address] = made.entries().next().value;
  made.delete(item);
  URL.revokeObjectURL(address);
}

async function newThumbnail(file) {
  // The browser decodes and scales beside the page.
  const image = await createImageBitmap(file, { resizeHeight: SIDE, resizeQuality: "medium" });
  const canvas = new OffscreenCanvas(Math.min(image.width, 4 * SIDE), image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  image.close();
  return URL.createObjectURL(await canvas.convertToBlob({ type: "image/webp", quality: 0.8 }));
}

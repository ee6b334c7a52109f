// Scale photographs that are far larger than the model's input, so that less is uploaded.

export const QUALITY = 0.9; // of the JPEG
const INPUTS = 2.5; // the shorter side that is kept, as a multiple of the larger side of the model's input
const RESIZES = 2; // and of what the model itself scales images to, before it cuts out the centre
const SMALL = 200_000; // bytes: what is smaller is quick to send as it is
const WORTH = 1.5; // how much longer than the side that is kept a shorter side has to be
// Of these types the browser and the service decode the same pixels, and there is only one image.
const TYPES = new Set(["image/jpeg", "image/png", "image/webp", "image/avif"]);

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
  if (!side || file.size < SMALL || !TYPES.has(file.type) || !canvasIsExact()) return file;
  try {
    // The service does not apply colour profiles.
    const image = await createImageBitmap(file, { colorSpaceConversion: "none" });
    const small = await drawn(image, side);
    const opaque = small && (file.type === "image/jpeg" || !transparent(small));
    image.close();
    if (!opaque) return file;
    const blob = await small.convertToBlob({ type: "image/jpeg", quality: QUALITY });
    return blob.size < file.size / 2 ? blob : file;
  } catch {
    return file;
  }
}

/**
 * Return a canvas with `image` scaled down, or null if that is not worth it. Sides are halved, which averages four
 * pixels exactly, and only the rest is interpolated: in one step browsers blend copies that are too small or too large.
 */
async function drawn(image, side) {
  if (WORTH * side > Math.min(image.width, image.height)) return null;
  let small = image;
  while (Math.min(small.width, small.height) >= 2 * side) small = await resized(small, 0.5, "low", image);
  small = await resized(small, side / Math.min(small.width, small.height), "high", image);
  const canvas = new OffscreenCanvas(small.width, small.height);
  canvas.getContext("2d").drawImage(small, 0, 0);
  small.close();
  return canvas;
}

/** Return `from` resized by `factor`; close it unless it is `kept`. */
async function resized(from, factor, resizeQuality, kept) {
  const [resizeWidth, resizeHeight] = [from.width, from.height].map((length) => Math.round(length * factor));
  const to = await createImageBitmap(from, { resizeWidth, resizeHeight, resizeQuality });
  if (from !== kept) from.close();
  return to;
}

function transparent(canvas) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  for (let alpha = 3; alpha < data.length; alpha += 4) if (data[alpha] < 255) return true;
  return false;
}

let exact; // whether a canvas gives back what was drawn: browsers that hide their user's identity add noise

function canvasIsExact() {
  if (exact !== undefined) return exact;
  const canvas = new OffscreenCanvas(16, 16);
  const context = canvas.getContext("2d");
  context.fillStyle = "rgb(40 120 200)";
  context.fillRect(0, 0, 16, 16);
  const { data } = context.getImageData(0, 0, 16, 16);
  exact = data.every((value, place) => value === [40, 120, 200, 255][place % 4]);
  return exact;
}

// Heat maps: the part of an image that a class is seen in, drawn over the whole image.

const OPACITY = 0.75;
// From least to most heat; the colours of the service's own heat maps (worker/pipeline/heat_map.py).
const COLOURS = [[255, 214, 64], [240, 90, 30], [190, 0, 60]];

/**
 * Return {left, top, width, height}, in shares of an image of `width` x `height` pixels, of the part that a model
 * with this `input` sees (GET /models): the centre, or the whole image.
 */
export function partSeen(width, height, input) {
  const { resize } = input;
  if (resize === null) return { left: 0, top: 0, width: 1, height: 1 };
  const factor = resize / Math.min(width, height);
  const [tall, wide] = Array.isArray(resize) ? resize : [height * factor, width * factor];
  const shares = { width: Math.min(1, input.width / wide), height: Math.min(1, input.height / tall) };
  return { left: (1 - shares.width) / 2, top: (1 - shares.height) / 2, ...shares };
}

/** Draw `cells`, rows of heat from 0 to 1, over the whole of `canvas`, and lay it over `part` of the image. */
export function drawHeat(canvas, cells, part) {
  const small = new OffscreenCanvas(cells[0].length, cells.length);
  const pixels = new ImageData(Uint8ClampedArray.from(cells.flat().flatMap(colourOf)), small.width);
  small.getContext("2d").putImageData(pixels, 0, 0);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  for (const [side, share] of Object.entries(part)) canvas.style[side] = `${share * 100}%`;
}

function colourOf(heat) {
  const place = Math.min(heat, 0.999) * (COLOURS.length - 1);
  const [from, to] = [COLOURS[Math.floor(place)], COLOURS[Math.floor(place) + 1]];
  const blend = place % 1;
  return [...from.map((value, channel) => value + (to[channel] - value) * blend), 255 * OPACITY * heat];
}

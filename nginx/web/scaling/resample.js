// Scale an image down by less than two in one pass for each direction, with the filter that keeps most of what a model sees.

const LOBES = 3; // of Lanczos' filter

/** Return {width, height, planes} of `image`, an ImageData: its red, green and blue, from 0 to 255, in floats. */
export function resampled(image, width, height) {
  const columns = weightsFor(image.width, width);
  const rows = weightsFor(image.height, height);
  const planes = [0, 1, 2].map((channel) => {
    const narrow = across(image, channel, columns, width);
    return down(narrow, width, rows, height);
  });
  return { width, height, planes };
}

/** Return for each of `to` pixels the first of `from` pixels that it is made of, and their weights. */
function weightsFor(from, to) {
  const scale = Math.max(1, from / to);
  return Array.from({ length: to }, (_, place) => {
    const centre = ((place + 0.5) * from) / to;
    const first = Math.max(0, Math.floor(centre - LOBES * scale));
    const last = Math.min(from, Math.ceil(centre + LOBES * scale));
    const weights = Float32Array.from({ length: last - first }, (_, tap) => lanczos((first + tap + 0.5 - centre) / scale));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

const sinc = (x) => (x ? Math.sin(Math.PI * x) / (Math.PI * x) : 1);
const lanczos = (x) => (Math.abs(x) < LOBES ? sinc(x) * sinc(x / LOBES) : 0);

/** Return a channel of `image` with its columns scaled to `width`. */
function across({ data, width: before, height }, channel, columns, width) {
  const plane = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const start = 4 * y * before + channel;
    for (let x = 0; x < width; x++) {
      const { first, weights } = columns[x];
      let sum = 0;
      for (let tap = 0; tap < weights.length; tap++) sum += weights[tap] * data[start + 4 * (first + tap)];
      plane[y * width + x] = sum;
    }
  }
  return plane;
}

/** Return `plane` with its rows scaled to `height`, and its values brought back into 0 to 255. */
function down(plane, width, rows, height) {
  const small = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const { first, weights } = rows[y];
    const line = small.subarray(y * width, (y + 1) * width);
    for (let tap = 0; tap < weights.length; tap++) {
      const from = (first + tap) * width;
      for (let x = 0; x < width; x++) line[x] += weights[tap] * plane[from + x];
    }
    for (let x = 0; x < width; x++) line[x] = Math.min(255, Math.max(0, line[x]));
  }
  return small;
}

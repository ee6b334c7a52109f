// A JPEG encoder that keeps the resolution of colours, which the browsers' own halves: more answers stay the same for as
// many bytes. It makes its Huffman codes for each image. Sections, tables and figures are those of ITU T.81.

import { codesFor } from "./huffman.js";

const SIDE = 8;
const AREA = SIDE * SIDE;
const CHROMA = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56], [47, 66]];
const COMPONENTS = 3;
const LUMA = [0.299, 0.587, 0.114]; // JFIF's YCbCr
// The steps of the quantisation, by row and column of the DCT, of luma (table K.1) and of chroma (K.2), whose rest is 99.
const STEPS = [
  [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80,
    62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98,
    112, 100, 103, 99,
  ],
  Array.from({ length: AREA }, (_, place) => CHROMA[Math.floor(place / SIDE)]?.[place % SIDE] ?? 99),
];
const ZIGZAG = zigzag();
const COSINES = cosines();

/**
 * Return the JPEG of an image as bytes: `planes` are its red, green and blue, a Float32Array each, from 0 to 255.
 * `quality` is that of libjpeg, from 50 to 100.
 */
export function jpegOf({ width, height, planes }, quality) {
  const steps = STEPS.map((table) => table.map((step) => Math.min(255, Math.max(1, Math.round((step * (100 - quality)) / 50)))));
  const coefficients = quantised(width, height, colours(planes), steps);
  const frequencies = [0, 1, 2, 3].map(() => new Uint32Array(257));
  visit(coefficients, (table, symbol) => (frequencies[table][symbol] += 1));
  const codes = frequencies.map(codesFor);
  const out = new Output(coefficients.length);
  writeHeaders(out, width, height, steps, codes);
  visit(coefficients, (table, symbol, value, size) => {
    out.bits(codes[table].codes[symbol], codes[table].sizes[symbol]);
    if (size) out.bits(value, size);
  });
  return out.end();
}

/** Return luma and both chroma planes, all around 0. */
function colours([red, green, blue]) {
  const [r, g, b] = LUMA;
  const luma = red.map((value, place) => r * value + g * green[place] + b * blue[place]);
  const from = (plane, weight) => plane.map((value, place) => (value - luma[place]) / (2 - 2 * weight));
  return [luma.map((value) => value - 128), from(blue, b), from(red, r)];
}

/** Return the quantised coefficients in zigzag order, block after block, the components of each place in turn. */
function quantised(width, height, planes, steps) {
  const [across, down] = [Math.ceil(width / SIDE), Math.ceil(height / SIDE)];
  const coefficients = new Int16Array(across * down * COMPONENTS * AREA);
  const [block, half] = [new Float32Array(AREA), new Float32Array(AREA)];
  let at = 0;
  for (let row = 0; row < down; row++) {
    for (let column = 0; column < across; column++) {
      for (const [component, plane] of planes.entries()) {
        const table = steps[component ? 1 : 0];
        cut(plane, width, height, column * SIDE, row * SIDE, block);
        transform(block, half); // once by rows and once by columns: each transposes
        transform(half, block);
        for (const place of ZIGZAG) coefficients[at++] = Math.round(block[place] / table[place]);
      }
    }
  }
  return coefficients;
}

/** Copy the pixels at (left, top) into `block`; beyond the image its last row and column go on. */
function cut(plane, width, height, left, top, block) {
  for (let y = 0; y < SIDE; y++) {
    const start = Math.min(top + y, height - 1) * width;
    for (let x = 0; x < SIDE; x++) block[y * SIDE + x] = plane[start + Math.min(left + x, width - 1)];
  }
}

/** Write the DCT of every row of `from` into a column of `to` (A.3.3). */
function transform(from, to) {
  for (let row = 0; row < SIDE; row++) {
    for (let frequency = 0; frequency < SIDE; frequency++) {
      let sum = 0;
      for (let x = 0; x < SIDE; x++) sum += from[row * SIDE + x] * COSINES[frequency * SIDE + x];
      to[frequency * SIDE + row] = sum;
    }
  }
}

function cosines() {
  return Float32Array.from({ length: AREA }, (_, place) => {
    const [frequency, x] = [Math.floor(place / SIDE), place % SIDE];
    return (frequency ? 0.5 : Math.SQRT1_2 / 2) * Math.cos(((2 * x + 1) * frequency * Math.PI) / (2 * SIDE));
  });
}

/** Return the places of a block in the order of figure A.6. */
function zigzag() {
  const places = Array.from({ length: AREA }, (_, place) => [Math.floor(place / SIDE), place % SIDE]);
  const along = ([row, column]) => ((row + column) % 2 ? row : column);
  places.sort((one, other) => one[0] + one[1] - other[0] - other[1] || along(one) - along(other));
  return places.map(([row, column]) => row * SIDE + column);
}

/** Call `emit(table, symbol, value, size)` for every code of F.1.2; tables: 0, 1 the DC of luma and chroma, 2, 3 the AC. */
function visit(coefficients, emit) {
  const before = [0, 0, 0];
  for (let start = 0, component = 0; start < coefficients.length; start += AREA, component = (component + 1) % COMPONENTS) {
    const table = component ? 1 : 0;
    code(emit, table, 0, coefficients[start] - before[component]);
    before[component] = coefficients[start];
    let zeros = 0;
    for (let place = start + 1; place < start + AREA; place++) {
      if (!coefficients[place]) {
        zeros += 1;
        continue;
      }
      for (; zeros > 15; zeros -= 16) emit(table + 2, 0xf0, 0, 0);
      code(emit, table + 2, zeros, coefficients[place]);
      zeros = 0;
    }
    if (zeros) emit(table + 2, 0, 0, 0);
  }
}

function code(emit, table, zeros, value) {
  const size = 32 - Math.clz32(Math.abs(value));
  emit(table, (zeros << 4) | size, value < 0 ? value + (1 << size) - 1 : value, size);
}

/** Write the headers of B.2 and JFIF. */
function writeHeaders(out, width, height, steps, codes) {
  const two = (number) => [number >> 8, number & 255];
  const segment = (marker, ...bytes) => out.bytes(0xff, marker, ...two(bytes.length + 2), ...bytes);
  out.bytes(0xff, 0xd8);
  segment(0xe0, ...[..."JFIF\0"].map((letter) => letter.charCodeAt(0)), 1, 1, 0, 0, 1, 0, 1, 0, 0);
  for (const table of [0, 1]) segment(0xdb, table, ...ZIGZAG.map((place) => steps[table][place]));
  segment(0xc0, 8, ...two(height), ...two(width), COMPONENTS, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1);
  segment(0xc4, ...codes.flatMap(({ counts, symbols }, table) => [[0x00, 0x01, 0x10, 0x11][table], ...counts, ...symbols]));
  segment(0xda, COMPONENTS, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0);
}

/** Bytes that grow, and bits of the entropy-coded part, whose bytes 255 are followed by 0. */
class Output {
  #data;
  #length = 0;
  #held = 0; // bits that make no byte yet
  #count = 0; // of them

  constructor(size) {
    this.#data = new Uint8Array(size + 1024);
  }

  bytes(...values) {
    for (const value of values) this.#data[this.#length++] = value;
  }

  bits(value, size) {
    this.#held = (this.#held << size) | value;
    this.#count += size;
    while (this.#count >= 8) {
      this.#count -= 8;
      const byte = (this.#held >> this.#count) & 255;
      this.#data[this.#length++] = byte;
      if (byte === 255) this.#data[this.#length++] = 0;
    }
    this.#held &= (1 << this.#count) - 1;
  }

  /** Return all bytes, after the last bits, filled up with ones, and the end of the image. */
  end() {
    if (this.#count) this.bits((1 << (8 - this.#count)) - 1, 8 - this.#count);
    this.bytes(0xff, 0xd9);
    return this.#data.subarray(0, this.#length);
  }
}

// Huffman codes for one JPEG, from how often each symbol comes: annex K.2 of ITU T.81.

const LONGEST = 16; // bits of a code
const RESERVED = 256; // a symbol that gets the code of ones alone, which no other may have

/**
 * Return the codes for symbols that come as often as `frequencies` says: `counts` of the lengths 1 to 16 and `symbols`
 * by length, as a JPEG states them, and by symbol `codes` and `sizes` in bits.
 */
export function codesFor(frequencies) {
  const lengths = lengthsFor([...frequencies].map((count, symbol) => (symbol === RESERVED ? 1 : count)));
  const counts = new Array(2 * LONGEST + 1).fill(0);
  for (const length of lengths) if (length) counts[length] += 1;
  shorten(counts);
  const symbols = [...lengths.keys()].filter((symbol) => lengths[symbol] && symbol !== RESERVED);
  symbols.sort((one, other) => lengths[one] - lengths[other] || one - other);
  return { counts: counts.slice(1, LONGEST + 1), symbols, ...numbered(counts, symbols) };
}

/** Return the length of each symbol's code: the two rarest groups are joined until one is left (figure K.1). */
function lengthsFor(frequencies) {
  const lengths = new Array(frequencies.length).fill(0);
  const groups = [...frequencies.keys()]
    .filter((symbol) => frequencies[symbol])
    .map((symbol) => ({ count: frequencies[symbol], symbols: [symbol] }));
  while (groups.length > 1) {
    groups.sort((one, other) => other.count - one.count || one.symbols[0] - other.symbols[0]);
    const [one, other] = groups.splice(-2);
    const symbols = [...one.symbols, ...other.symbols];
    for (const symbol of symbols) lengths[symbol] += 1;
    groups.push({ count: one.count + other.count, symbols });
  }
  return lengths;
}

/** Change `counts` by length so that none is longer than LONGEST, and leave out the reserved code (figure K.3). */
function shorten(counts) {
  for (let length = counts.length - 1; length > LONGEST; length--) {
    while (counts[length]) {
      let shorter = length - 2;
      while (!counts[shorter]) shorter -= 1;
      counts[length] -= 2;
      counts[length - 1] += 1;
      counts[shorter + 1] += 2;
      counts[shorter] -= 1;
    }
  }
  counts[counts.findLastIndex((count) => count)] -= 1;
}

/** Return the codes and sizes by symbol: those of one length follow each other (figure C.2). */
function numbered(counts, symbols) {
  const [codes, sizes] = [[], []];
  let [code, place] = [0, 0];
  for (let length = 1; length <= LONGEST; length++, code <<= 1) {
    for (let left = counts[length]; left; left--, code++, place++) {
      codes[symbols[place]] = code;
      sizes[symbols[place]] = length;
    }
  }
  return { codes, sizes };
}

// What is to be taught: the classes, and the images of each, by the folders that they come from. All pure.

const LEARNED = "train"; // as in scripts/models/tools/teach
const HELD_OUT = ["val", "valid", "validation", "test"];

/**
 * Return {files, ignored}: each of `entries`, {path, file}, with its class and its part of a split, "" if there is none;
 * and how many are in no folder of a class.
 *
 * A path begins with the folder that was dropped: one that holds the folders of the classes, or a class itself.
 */
export function inClasses(entries) {
  const split = entries.map(({ path, file }) => ({ parts: path.split("/").filter(Boolean), file }));
  const roots = new Set(split.map(({ parts }) => parts[0]));
  const holdsFolders = roots.size === 1 && !isSplit(roots) && split.some(({ parts }) => parts.length > 2);
  const inside = split.map(({ parts, file }) => ({ parts: holdsFolders ? parts.slice(1) : parts, file }));
  const folders = new Set(inside.filter(({ parts }) => parts.length > 1).map(({ parts }) => parts[0]));
  const divided = isSplit(folders) && inside.every(({ parts }) => parts.length !== 2);
  const files = inside
    .filter(({ parts }) => parts.length > (divided ? 2 : 1))
    .map(({ parts, file }) => (divided ? { part: parts[0], name: parts[1], file } : { part: "", name: parts[0], file }));
  return { files, ignored: entries.length - files.length };
}

const isSplit = (names) =>
  names.size > 1 && names.has(LEARNED) && [...names].every((name) => name === LEARNED || HELD_OUT.includes(name));

/** Add `files` to the `classes`, a map from a name to its images. */
export function addTo(classes, files) {
  for (const { name, part, file } of files) {
    const key = name.normalize("NFC").trim();
    classes.set(key, [...(classes.get(key) ?? []), { part, file }]);
  }
}

/** Return all images of `classes` as they are sent. */
export const imagesOf = (classes) =>
  [...classes].flatMap(([name, images]) => images.map(({ part, file }) => ({ name, part, file })));

// Files to send: from a drop or a paste, in a stable order, and from the service's examples.

import { requestWithKey } from "../key.js";
import { inOrder } from "../language.js";

// Of the types that browsers do not know on every system.
const IMAGE_NAME = /\.(avif|heic|heif|hif|tiff?|jfif|jls|webp|bmp|dib)$/i;

const isImage = (file) => file.type.startsWith("image/") || IMAGE_NAME.test(file.name);

/** Return the images in the files of a folder that was chosen, by path, and the names of its other files. */
export function filesInFolder(list) {
  const files = Array.from(list).sort(byPath);
  return { files: files.filter(isImage), skipped: files.filter((file) => !isImage(file)).map(({ name }) => name) };
}

const byPath = (one, other) => inOrder(one.webkitRelativePath, other.webkitRelativePath);

/** Return the files of a DataTransfer and of its folders; `skipped` names the files in folders that are not images. */
export async function filesOf(transfer) {
  // Get the entries before the first await: the browser empties the transfer after the event.
  const dropped = Array.from(transfer.items, (item) => [item.webkitGetAsEntry?.(), item.getAsFile()]);
  const files = [];
  const skipped = [];
  for (const [entry, file] of dropped) {
    if (!entry?.isDirectory) {
      if (file) files.push(file);
      continue;
    }
    for await (const { file: inside } of walk(entry)) {
      if (isImage(inside)) files.push(inside);
      else skipped.push(inside.name);
    }
  }
  return { files, skipped };
}

/** Return the images of a DataTransfer's folders as {path, file}, and how many other files there are. */
export async function filesOfTree(transfer) {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  for (const entry of entries) {
    if (entry.isDirectory) for await (const inside of walk(entry)) found.push(inside);
    else found.push({ path: entry.name, file: await fileOf(entry) });
  }
  const files = found.filter(({ file }) => isImage(file));
  return { files, skipped: found.length - files.length };
}

const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

async function* walk(folder) {
  const entries = await entriesOf(folder);
  entries.sort((one, other) => inOrder(one.name, other.name));
  for (const entry of entries) {
    if (entry.isDirectory) yield* walk(entry);
    else yield { path: entry.fullPath.slice(1), file: await fileOf(entry) };
  }
}

async function entriesOf(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return entries; // a reader returns a hundred entries at a time
    entries.push(...some);
  }
}

/** Return the service's file at `path` under the name `name`, or null if it cannot be fetched. */
export function fileAt(path, name) {
  return requestWithKey(path)
    .then((response) => (response.ok ? response.blob() : null))
    .then((blob) => blob && new File([blob], name, { type: blob.type }))
    .catch(() => null);
}

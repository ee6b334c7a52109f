// Files to send: what a drop or a paste carries, in a steady order, and what the service offers.

/** The files of a DataTransfer, folders opened; `skipped` counts what in folders is not an image. */
export async function filesOf(transfer) {
  // The entries must be asked for before the first await: the browser empties the transfer after the event.
  const dropped = Array.from(transfer.items, (item) => [item.webkitGetAsEntry?.(), item.getAsFile()]);
  const files = [];
  let skipped = 0;
  for (const [entry, file] of dropped) {
    if (!entry?.isDirectory) {
      if (file) files.push(file);
      continue;
    }
    for await (const inside of walk(entry)) {
      if (inside.type.startsWith("image/")) files.push(inside);
      else skipped += 1;
    }
  }
  return { files, skipped };
}

async function* walk(folder) {
  const entries = await entriesOf(folder);
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  for (const entry of entries) {
    if (entry.isDirectory) yield* walk(entry);
    else yield await new Promise((resolve, reject) => entry.file(resolve, reject));
  }
}

async function entriesOf(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return entries; // a reader hands out a hundred at a time
    entries.push(...some);
  }
}

/** The file at `path` of the service, called `name`; null when it cannot be fetched. */
export function fileAt(path, name) {
  return fetch(path, { cache: "force-cache" }) // the bytes that are shown already
    .then((response) => (response.ok ? response.blob() : null))
    .then((blob) => blob && new File([blob], name, { type: blob.type }))
    .catch(() => null);
}

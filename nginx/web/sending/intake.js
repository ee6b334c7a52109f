// The ways that files come in: chosen, photographed, dropped and pasted.

import { find } from "../dom.js";
import { filesInFolder, filesOf } from "./files.js";

/** Call `added({files, skipped})` whenever the user brings files; `skipped` names those that are not images. */
export function onFiles(added) {
  onChoice("files", (files) => added({ files }));
  onChoice("camera", (files) => added({ files }));
  onChoice("folder", (files) => added(filesInFolder(files)));
  onDrop(async (transfer) => added(await filesOf(transfer)));
  document.addEventListener("paste", async (event) => {
    if (!event.target.matches("input, textarea")) added(await filesOf(event.clipboardData));
  });
}

function onChoice(id, chosen) {
  find(id).addEventListener("change", (event) => {
    const files = Array.from(event.target.files);
    event.target.value = ""; // so that the same file can be chosen twice
    chosen(files);
  });
}

function onDrop(dropped) {
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    dropped(event.dataTransfer);
  });
}

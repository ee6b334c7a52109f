// The form: the classes with their images, the model's name, and the upload.

import { element, setText } from "../dom.js";
import { filesInFolder, filesOfTree } from "../sending/files.js";
import { addTo, imagesOf, inClasses } from "./lesson.js";
import { ask, sendAll } from "./service.js";
import { text } from "./texts.js";

const classes = new Map(); // name -> images
let ignored = 0; // files of the last folder
let sending = null; // {done, all, stop} of the upload
let awaits = false; // the end of a teaching, after which the form is empty
const [NEW, ADD] = ["new:", "add:"]; // begin the values of the list of models that are taught, and added to
let [changed, failed] = [() => {}, () => {}];

const name = element("input", { type: "text", id: "teach-name", required: true, autocomplete: "off", spellcheck: false });
const replace = element("input", { type: "checkbox", id: "teach-replace" });
const from = element("select", { id: "teach-from", change: choosePurpose });
const newClass = element("input", { type: "text", id: "teach-class", autocomplete: "off", keydown: addByEnter });

/** Empty the form once what it sent is taught; if that failed, the user may add images and try again. */
export function follow(job) {
  if (!awaits || job?.kind !== "teach" || job.outcome === "running") return;
  awaits = false;
  if (job.outcome !== "done") return;
  classes.clear();
  [name.value, replace.checked, ignored] = ["", false, 0];
  from.selectedIndex = 0;
}

const purpose = () => ({ base: from.value.slice(from.value.indexOf(":") + 1), add: from.value.startsWith(ADD) });

/** What is added to a model goes to that model, unless the user gives another name. */
function choosePurpose() {
  const { base, add } = purpose();
  if (add && !name.value) [name.value, replace.checked] = [base, true];
  changed();
}

function addByEnter(event) {
  if (event.key === "Enter" && !event.isComposing) addClass(); // not the Enter that ends the input of Chinese
}

export const isSending = () => sending !== null;

/** Have `onChange(state)` called with the service's state after a step, or nothing, and `onFault(error)`. */
export function connect(onChange, onFault) {
  [changed, failed] = [onChange, onFault];
}

/** Take what was dropped on the view. */
export async function drop(transfer) {
  if (!sending) take(await filesOfTree(transfer));
}

function take({ files, skipped }) {
  const found = inClasses(files);
  addTo(classes, found.files);
  ignored = found.ignored + skipped;
  changed();
}

/** Return the form's parts as they are now; `models` are those of the service's state. */
export function formParts(models) {
  if (sending) return [progressPart()];
  listModels(models);
  const images = imagesOf(classes);
  const { add } = purpose();
  const ready = add ? images.length > 0 : classes.size > 1 && [...classes.values()].every((some) => some.length > 1);
  return [
    element("section", { className: "teach-part teach-drop" }, element("h3", {}, text("images")), element("p", { className: "quiet" }, text("how")),
      element("div", { className: "teach-row" }, ...folderChoice(), ...classChoice()),
      element("ul", { className: "teach-classes", id: "teach-classes" }, [...classes].map(classRow)),
      ignored ? element("p", { className: "quiet", role: "status" }, text("ignored", ignored)) : null),
    element("form", { className: "teach-part", submit: start },
      element("h3", {}, element("label", { htmlFor: name.id }, text("model"))),
      element("div", { className: "teach-row" }, name, element("label", {}, replace, " ", text("replace"))),
      element("div", { className: "teach-row" }, element("label", { htmlFor: from.id }, text("from")), from),
      element("div", { className: "teach-row" },
        element("button", { type: "submit", className: "button main", id: "teach-start", disabled: !ready }, text("teach")),
        element("span", { className: "quiet" }, ready ? text("totals", classes.size, images.length) : text(add ? "neededMore" : "needed")))),
  ];
}

function listModels(models) {
  const group = (kind, label, some) =>
    some.length > 0 && element("optgroup", { label }, some.map((model) => element("option", { value: kind + model.name }, model.name)));
  const before = from.value;
  const groups = [group(NEW, text("fromNew"), models), group(ADD, text("fromTaught"), models.filter((model) => model.taught))];
  from.replaceChildren(...groups.filter(Boolean));
  from.value = before;
  if (from.selectedIndex < 0) from.selectedIndex = 0;
}

function folderChoice() {
  const choose = (event) => {
    const { files, skipped } = filesInFolder(event.target.files);
    take({ files: files.map((file) => ({ path: file.webkitRelativePath, file })), skipped: skipped.length });
  };
  const input = element("input", { className: "unseen", id: "teach-folder", type: "file", multiple: true, webkitdirectory: "", change: choose });
  input.webkitdirectory = true;
  return [element("div", {}, input, element("label", { className: "button", htmlFor: input.id }, text("folder")))];
}

function classChoice() {
  newClass.placeholder = text("newClass");
  newClass.setAttribute("aria-label", text("newClass"));
  return [newClass, element("button", { type: "button", className: "button", id: "teach-add-class", click: addClass }, text("addClass"))];
}

function addClass() {
  const key = newClass.value.normalize("NFC").trim();
  if (!key) return newClass.focus();
  if (!classes.has(key)) classes.set(key, []);
  newClass.value = "";
  changed();
}

function classRow([key, images], place) {
  const id = `teach-images-${place}`;
  const add = (event) => {
    addTo(classes, Array.from(event.target.files, (file) => ({ name: key, part: "", file })));
    changed();
  };
  const remove = () => {
    classes.delete(key);
    changed();
  };
  return element("li", {},
    element("span", { className: "name" }, key),
    element("span", { className: "quiet" }, text("count", images.length)),
    element("div", {},
      element("input", { className: "unseen", id, type: "file", multiple: true, accept: "image/*,.avif,.heic,.heif,.tif,.tiff", "aria-label": text("addTo", key), change: add }),
      element("label", { className: "button", htmlFor: id, "aria-hidden": "true" }, text("add"))),
    element("button", { type: "button", className: "button", "aria-label": text("removeClass", key), click: remove }, text("remove")));
}

async function start(event) {
  event.preventDefault();
  const [images, controller] = [imagesOf(classes), new AbortController()];
  let begun = false;
  sending = { done: 0, all: images.length, stop: () => controller.abort() };
  try {
    await ask("POST", "upload", { name: name.value.trim(), ...purpose(), replace: replace.checked });
    begun = true;
    changed();
    await sendAll(images, controller.signal, (done) => showSent((sending.done = done)));
    const state = await ask("POST", "teach");
    awaits = true;
    sending = null;
    changed(state);
  } catch (error) {
    sending = null;
    if (begun) await ask("DELETE", "upload").catch(() => {});
    failed(controller.signal.aborted ? null : error);
  }
}

let [bar, words] = [];

function progressPart() {
  bar = element("progress", { max: sending.all, value: sending.done, "aria-label": text("teach") });
  words = element("p", {});
  showSent(sending.done);
  const stop = element("button", { type: "button", className: "button", click: sending.stop }, text("stop"));
  return element("section", { className: "teach-part" }, words, bar, element("div", { className: "teach-row" }, stop));
}

function showSent(done) {
  if (!words || !sending) return;
  bar.value = done;
  setText(words, text("sending", done, sending.all));
}

// The key, if the service asks for one: entered once, kept until the browser's tab is closed, or forgotten on demand.

import { find } from "./dom.js";
import { request } from "./http.js";
import { onLanguage } from "./language.js";
import { text } from "./texts.js";

const KEPT = "wanwu-key";
const VALID = /^[!-~]+$/; // what a header may hold

let key = remembered();
let asking; // a promise of whether a new key was entered, while the dialog is open
let declined = false; // then only the button asks again

const header = () => (key ? { Authorization: `Bearer ${key}` } : {});

/** Do as request() does, with the key; if the service asks for another, ask for it once and try again. */
export async function requestWithKey(address, options = {}) {
  const send = () => request(address, { ...options, headers: { ...options.headers, ...header() } });
  const used = key;
  const response = await send();
  return response.status === 401 && (await another(used)) ? send() : response;
}

/** Show the image at `path`, which an element could not ask for with a key. */
export async function showImage(image, path) {
  if (!key) return void (image.src = path);
  const response = await requestWithKey(path).catch(() => null);
  if (!response?.ok) return;
  image.src = URL.createObjectURL(await response.blob());
  image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
}

/** Resolve to whether there is another key than `used`, which was refused; all requests share one dialog. */
function another(used) {
  if (key !== used) return Promise.resolve(true);
  find("key-enter").hidden = false;
  if (declined) return Promise.resolve(false);
  return (asking ??= ask().finally(() => (asking = undefined)));
}

function ask() {
  const dialog = find("key-dialog");
  find("key-message").textContent = text(key ? "keyRefused" : "keyNeeded");
  find("key-field").value = "";
  dialog.returnValue = ""; // closed with Escape, it would keep the last one
  dialog.showModal();
  document.dispatchEvent(new Event("keyneeded"));
  return new Promise((resolve) => {
    dialog.onclose = () => {
      const entered = find("key-field").value.trim();
      find("key-field").value = "";
      const taken = dialog.returnValue === "use" && VALID.test(entered);
      declined = !taken;
      if (taken) remember(entered);
      showButtons();
      resolve(taken);
    };
  });
}

function showButtons() {
  find("key-forget").hidden = !key;
  if (key) find("key-enter").hidden = true;
}

function remember(entered) {
  key = entered;
  try {
    if (key) sessionStorage.setItem(KEPT, key);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // Storage may be blocked; then the key lasts only as long as the page.
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

find("key-forget").addEventListener("click", () => {
  remember("");
  location.reload(); // nothing that the key has led to stays on the screen
});
find("key-enter").addEventListener("click", async () => {
  declined = false;
  if (await another(key)) location.reload();
});
onLanguage(showButtons);
showButtons();

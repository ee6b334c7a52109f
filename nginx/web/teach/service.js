// Talk to the service that `make teach-page` starts: each answer is its whole state.

import { request } from "../http.js";

const KEY = "wanwu-teach-key";
const AT_ONCE = 4; // images on their way
const AWAY = { 404: "off", 503: "off", 502: "off", 403: "away", 421: "away" }; // by Nginx, where the service has not answered

/** An answer other than success: `code` is the service's, or says why it cannot be reached. */
export class Fault extends Error {
  constructor(code, message = "", file = "") {
    super(message);
    this.code = code;
    this.file = file;
  }
}

/** Remember the key of the address, which then no longer shows it. */
export function keep(key) {
  sessionStorage.setItem(KEY, key);
  history.replaceState(null, "", "#teach");
}

/** Return the state after the request; raise Fault. */
export async function ask(method, route, body, signal) {
  const isFile = body instanceof Blob;
  const headers = { "X-Teach-Key": sessionStorage.getItem(KEY) ?? "" };
  if (method === "POST") headers["Content-Type"] = isFile ? "application/octet-stream" : "application/json";
  const sent = body === undefined || isFile ? body : JSON.stringify(body);
  let response;
  try {
    response = await request(`teaching/${route}`, { method, headers, body: sent ?? (method === "POST" ? "{}" : undefined), signal });
  } catch (error) {
    throw signal?.aborted ? error : new Fault("unreachable");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  const { code, message } = answer?.error ?? {};
  const isNginx = !code || ["forbidden", "foreign_host", "unknown_route", "not_ready"].includes(code);
  if (code === "body_too_large") throw new Fault("too_large");
  throw new Fault(isNginx ? (AWAY[response.status] ?? "failed") : code, message);
}

/** Send `images`, several at once, and call `sent(count)` after each; raise Fault with the file that was refused. */
export async function sendAll(images, signal, sent) {
  const waiting = images.slice();
  let count = 0;
  const sender = async () => {
    for (let image = waiting.shift(); image; image = waiting.shift()) {
      const query = new URLSearchParams({ class: image.name, part: image.part, file: image.file.name });
      try {
        await ask("POST", `images?${query}`, image.file, signal);
      } catch (error) {
        waiting.length = 0;
        if (error instanceof Fault) error.file = `${image.name}/${image.file.name}`;
        throw error;
      }
      sent((count += 1));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sender));
}

// Requests that end once nothing moves any more: a network that swallows packets never says that it does.

// Longer than Nginx takes to answer, which tries a second worker within 29 s and waits 30 s for it: see nginx.conf.
const SILENCE_MS = 60_000;

/**
 * Do as fetch() does, but reject once nothing was sent or received for `silenceMs`, and call `progress` with the share
 * of the body that was sent: fetch() tells neither, XMLHttpRequest does.
 */
export function request(address, { method = "GET", headers = {}, body, signal, progress, silenceMs = SILENCE_MS } = {}) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const asked = new XMLHttpRequest();
    const start = performance.now();
    const moved = () => (asked.timeout = performance.now() - start + silenceMs); // it counts from the start
    const abort = () => asked.abort();
    asked.open(method, address);
    asked.responseType = "blob";
    for (const [field, value] of Object.entries(headers)) asked.setRequestHeader(field, value);
    asked.onprogress = moved;
    asked.upload.onprogress = ({ loaded, total }) => {
      moved();
      progress?.(loaded / total);
    };
    asked.onloadend = () => {
      signal?.removeEventListener("abort", abort);
      if (asked.status) resolve(responseOf(asked));
      else reject(new TypeError(`no answer: ${method} ${address}`));
    };
    signal?.addEventListener("abort", abort);
    moved();
    asked.send(body);
  });
}

function responseOf(asked) {
  const lines = asked.getAllResponseHeaders().split("\r\n").filter(Boolean);
  const headers = lines.map((line) => line.split(/: (.*)/, 2));
  const { response, status, statusText } = asked;
  return new Response(response.size ? response : null, { status, statusText, headers });
}

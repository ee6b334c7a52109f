"""A small HTTP server that behaves as a test tells it to: the gateway's tests put it where a worker would be.

    python3 fake_worker.py --worker photos-0 --model photos --slot this-cpu0

It prints its port. `PUT /control` sets `state` and `reason` (what /readyz says), `metrics` (what /metrics says; None:
404), `seconds` (what an `ok` takes) and `answer` (how it meets every other request): `ok`, `full` (429), `unready`
(503), `fail` (500), `poison` (500 if the body starts with "poison"), `elsewhere` (404 that leads Nginx to the pool of
`body_model`), `close` (reads the request, then hangs up), `die` (reads it, then ends the process) or `short` (less than
it promises, then hangs up). `GET /control` returns the requests it has met, oldest first.
"""

import argparse
import json
import os
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REFUSALS = {
    "full": HTTPStatus.TOO_MANY_REQUESTS,
    "unready": HTTPStatus.SERVICE_UNAVAILABLE,
    "fail": HTTPStatus.INTERNAL_SERVER_ERROR,
}


class FakeWorker(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, identity: dict[str, str], port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.identity = identity
        self.lock = threading.Lock()
        self.behaviour: dict[str, Any] = {
            "state": "ready", "reason": None, "answer": "ok", "seconds": 0, "metrics": None,
        }  # fmt: skip
        self.requests: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FakeWorker

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/control":
            self._control(body)
        elif self.path == "/readyz":
            self._readyz()
        elif self.path == "/metrics":
            self._metrics()
        else:
            self._request(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = handle_any

    def _control(self, body: bytes) -> None:
        with self.server.lock:
            self.server.behaviour.update(json.loads(body or "{}"))
            self._answer(HTTPStatus.OK, {"requests": self.server.requests})

    def _readyz(self) -> None:
        state, reason = self.server.behaviour["state"], self.server.behaviour["reason"]
        facts = {"version": "1", "engine": "openvino", "precision": "f32", "in_flight": 0, "queued": 0}
        status = HTTPStatus.OK if state == "ready" else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, {"state": state, "reason": reason, **self.server.identity, **facts})

    def _metrics(self) -> None:
        text = self.server.behaviour["metrics"]
        self.send_response(HTTPStatus.NOT_FOUND if text is None else HTTPStatus.OK)
        self.send_header("Content-Length", str(len(text or "")))
        self.end_headers()
        self.wfile.write((text or "").encode())

    def _request(self, body: bytes) -> None:
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        met = {"method": self.command, "path": self.path, "bytes": len(body), "headers": headers}
        with self.server.lock:
            self.server.requests.append(met)
            answer, seconds = self.server.behaviour["answer"], self.server.behaviour["seconds"]
        if answer == "poison":
            answer = "fail" if body.startswith(b"poison") else "ok"
        if answer == "die":
            os._exit(1)
        if answer == "close":
            self.close_connection = True
        elif answer == "short":
            self.close_connection = True
            self._answer(HTTPStatus.OK, {**self.server.identity, **met}, promised=100_000)
        elif answer == "elsewhere":
            said = {"code": answer, "message": "the worker's own words", "request_id": None}
            to = {"X-Accel-Redirect": "@body_model", "X-Body-Model": self.server.behaviour["body_model"]}
            self._answer(HTTPStatus.NOT_FOUND, {"error": said}, to)
        elif answer in REFUSALS:
            said = {"code": answer, "message": "the worker's own words", "request_id": None}
            self._answer(REFUSALS[answer], {"error": said}, {"Retry-After": "7"})
        else:
            time.sleep(seconds)
            best = {"predictions": [{"label_en": self.server.identity["model"]}]}
            self._answer(HTTPStatus.OK, {**self.server.identity, **met, **best}, {"X-Request-ID": "the-worker's"})

    def _answer(
        self, status: HTTPStatus, document: Any, headers: dict[str, str] | None = None, promised: int | None = None
    ) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(promised or len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("worker", "model", "slot"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = vars(parser.parse_args())
    server = FakeWorker(port=options.pop("port"), identity=options)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

"""Speak HTTP on a Unix socket that Nginx alone may open, until Ctrl-C or until the service beside it is stopped."""

import json
import os
import secrets
import shutil
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from scripts.base.errors import CommandError
from scripts.teach_page import PREFIX, SOCKET
from scripts.teach_page.access import require
from scripts.teach_page.errors import Code, Refused
from scripts.teach_page.studio import Studio

MAX_JSON_BYTES = 1 << 16
READ_TIMEOUT_S = 60
REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)


class Server(ThreadingMixIn, UnixStreamServer):
    """The service for `studio`, on a socket in the folder `run`, for requests with `key`; it has a key for reports."""

    timeout = 0.5  # seconds without a request after which `serve` looks around
    request_queue_size = 64
    block_on_close = False
    daemon_threads = True

    def __init__(self, run: Path, studio: Studio, key: str, max_file_bytes: int) -> None:
        self.studio, self.key, self.max_file_bytes = studio, key, max_file_bytes
        self.report_key = secrets.token_urlsafe(16)
        self.path = run / SOCKET
        _make_room(self.path)
        super().__init__(str(self.path), Handler)
        if os.geteuid() == 0:  # Nginx runs under another account, whose group the run directory has
            for path, mode in ((self.path.parent, 0o710), (self.path, 0o660)):
                os.chown(path, -1, run.stat().st_gid)
                path.chmod(mode)
        self._inode = self.path.stat().st_ino

    def serve(self) -> None:
        """Answer requests until the socket is gone: `make down` removes it with the run directory."""
        while self._is_there():
            self.handle_request()
            self.studio.expire()

    def _is_there(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def server_close(self) -> None:
        super().server_close()
        if self._is_there():
            shutil.rmtree(self.path.parent)


def _make_room(path: Path) -> None:
    """Make a folder that only its owner may enter for the socket at `path`, in place of what a killed service left.

    Raise CommandError if one still answers.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            shutil.rmtree(path.parent, ignore_errors=True)
            return path.parent.mkdir(mode=0o700)
    raise CommandError(f"{path}: found another `make teach-page` that runs, needed one alone: use it, or end it")


class Handler(BaseHTTPRequestHandler):
    """One request; each connection has one."""

    server: Server
    timeout = READ_TIMEOUT_S

    def do_GET(self) -> None:
        self._answer({"state": self._state})

    def do_POST(self) -> None:
        self._answer({"upload": self._begin, "images": self._add, "teach": self._teach, "use": self._use})

    def do_DELETE(self) -> None:
        self._answer({"upload": self._discard, "job": self._stop})

    def _answer(self, routes: Mapping[str, Callable[[], None]]) -> None:
        url = urlsplit(self.path)
        name = url.path.removeprefix(PREFIX)
        self._query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        self._left = 0
        try:
            self._left = self._length()
            report = name.removeprefix(f"report/{self.server.report_key}/")
            shows_report = self.command == "GET" and report != name
            require(self.headers, self.server.key, shows_report)  # type: ignore[arg-type]
            if shows_report:
                return self._send(self.server.studio.report(unquote(report)), "text/html; charset=utf-8")
            if name not in routes:
                raise Refused(Code.UNKNOWN, f"found {self.command} {url.path}, needed a route of this service")
            routes[name]()
            self._send_json(200, self._whole_state())
        except Refused as refused:
            self._discard_body()
            self._send_json(refused.status, refused.body)
        except ConnectionError:
            pass
        except Exception as error:  # such as a disk that cannot be read: the service goes on
            self._send_json(500, Refused(Code.FAILED, f"found {error!r}, needed none: report this").body)

    def _state(self) -> None:
        pass

    def _begin(self) -> None:
        self.server.studio.begin(**self._json({"name": str, "base": str, "add": bool, "replace": bool}))

    def _add(self) -> None:
        if self._left > self.server.max_file_bytes:
            raise Refused(Code.TOO_LARGE, f"found {self._left} bytes, needed at most {self.server.max_file_bytes}")
        upload, length = self.server.studio.current_upload(), self._left
        self._left = 0
        get = self._query.get
        upload.add(get("class", ""), get("part", ""), get("file", ""), self.rfile, length)  # type: ignore[arg-type]

    def _teach(self) -> None:
        self.server.studio.teach()

    def _use(self) -> None:
        values = self._json({"name": str, "instead_of": str})
        self.server.studio.use(values["name"], values["instead_of"])

    def _discard(self) -> None:
        self.server.studio.discard()

    def _stop(self) -> None:
        self.server.studio.stop()

    def _whole_state(self) -> dict[str, Any]:
        return {**self.server.studio.state(), "reports": f"{PREFIX}report/{self.server.report_key}/"}

    def _length(self) -> int:
        text = self.headers.get("Content-Length", "" if self.command == "POST" else "0")
        if not (text.isascii() and text.isdecimal()):
            raise Refused(Code.BAD_REQUEST, f"found Content-Length {text!r}, needed the number of bytes")
        return int(text)

    def _json(self, fields: Mapping[str, type]) -> dict[str, Any]:
        """Return the object in the body, which must have exactly these `fields`."""
        length, self._left = min(self._left, MAX_JSON_BYTES), max(0, self._left - MAX_JSON_BYTES)
        try:
            value = json.loads(self.rfile.read(length))
        except ValueError:
            value = None
        if not isinstance(value, dict) or {key: type(each) for key, each in value.items()} != dict(fields):
            needed = ", ".join(f"{key} ({kind.__name__})" for key, kind in fields.items())
            raise Refused(Code.BAD_REQUEST, f"found another body, needed a JSON object with {needed}")
        return value

    def _discard_body(self) -> None:
        """Read what Nginx still sends, or it would see a broken connection instead of the answer."""
        while self._left and (chunk := self.rfile.read(min(self._left, 1 << 20))):
            self._left -= len(chunk)

    def _send_json(self, status: int, value: dict[str, Any]) -> None:
        self._send(json.dumps(value, ensure_ascii=False).encode(errors="replace"), "application/json", status)

    def _send(self, body: bytes, content_type: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if content_type.startswith("text/html"):
            self.send_header("Content-Security-Policy", REPORT_POLICY)
            self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: Nginx logs the requests."""

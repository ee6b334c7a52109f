"""A model hub on this machine for the clients of the Hugging Face Hub and ModelScope, and for plain downloads.

It serves folders, records the requests that it receives, and misbehaves on demand.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.answers import Server

COMMIT = hashlib.sha1(b"the one commit", usedforsecurity=False).hexdigest()
GATED = (403, "GatedRepo")  # refuses the files only; everyone may list them
LARGE = (".safetensors", ".bin", ".pth", ".pt", ".onnx", ".h5", ".msgpack")  # suffixes that Git LFS stores
HUGGING_FACE, MODELSCOPE = "/api/models/", "/api/v1/models/"


@dataclass(frozen=True)
class RecordedRequest:
    """A request: its method, its path without the query, and the headers that tests check."""

    method: str
    path: str
    range: str
    authorization: str
    agent: str


@dataclass
class Hub:
    """The files that are served, and the faults. `refused` maps a repository to a status and an X-Error-Code."""

    address: str = ""
    repositories: dict[str, Path] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)  # by path, for plain downloads
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)  # file name -> bytes after which the connection breaks for good
    flipped: set[str] = field(default_factory=set)  # names of files served with a wrong last byte
    without_length: set[str] = field(default_factory=set)  # names of files served without Content-Length
    without_head: set[str] = field(default_factory=set)  # names of files for which HEAD is refused
    web_pages: set[str] = field(default_factory=set)  # paths served as a web page
    requests: list[RecordedRequest] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)  # names of files whose connection has broken
    short: dict[str, int] = field(default_factory=dict)  # file name -> bytes that one connection delivers at most
    stalled: dict[str, int] = field(default_factory=dict)  # file name -> bytes after which the connection stalls
    stalls_end: threading.Event = field(default_factory=threading.Event)  # ends all stalls

    def reset(self) -> None:
        """Clear the faults, and forget the recorded requests."""
        self.stalls_end.set()
        self.stalls_end = threading.Event()
        for record in (self.refused, self.cut, self.flipped, self.broken, self.short, self.stalled, self.requests):
            record.clear()

    def environ(self, home: Path) -> dict[str, str]:
        """Return the variables that direct the clients to this hub and keep them away from the user's home."""
        return {
            "HF_ENDPOINT": self.address, "MODELSCOPE_ENDPOINT": self.address, "WANWU_TORCHVISION_MIRROR": self.address,
            "HOME": str(home), "NO_PROXY": "127.0.0.1,localhost", "HF_TOKEN": "",
        }  # fmt: skip

    def content(self, name: str, data: bytes) -> bytes:
        return data[:-1] + bytes([data[-1] ^ 1]) if name in self.flipped else data


@contextmanager
def running() -> Iterator[Hub]:
    """Run a hub on a free port of this machine."""
    hub = Hub()
    server = Server(("127.0.0.1", 0), partial(_Handler, hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.reset()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *arguments: object) -> None:
        self.hub = hub
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Log nothing: the hub records its requests."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        # A client that uses this hub as its proxy sends the whole address.
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), {key: values[0] for key, values in parse_qs(parts.query).items()}
        headers = (self.headers.get(name, "") for name in ("Range", "Authorization", "User-Agent"))
        self.hub.requests.append(RecordedRequest(self.command, path, *headers))
        try:
            self._route(path, query)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _route(self, path: str, query: dict[str, str]) -> None:
        self.recursive = "true" in (query.get("recursive", "").lower(), query.get("Recursive", "").lower())
        if path in self.hub.files:
            return self._plain(path)
        if path.startswith(MODELSCOPE):
            return self._modelscope(path.removeprefix(MODELSCOPE), query)
        if path.startswith(HUGGING_FACE):
            return self._repository(path.removeprefix(HUGGING_FACE), self._hugging_face_api)
        if path.startswith("/cdn/"):
            return self._file(self._stored(path.removeprefix("/cdn/")), {})
        if "/resolve/" in path:
            return self._repository(path.removeprefix("/"), self._resolve)
        return self._status(404, "")

    def _plain(self, path: str) -> None:
        name = path.rpartition("/")[2]
        if self.command == "HEAD" and name in self.hub.without_head:
            return self._status(405, "")
        data = self.hub.files[path]
        kind = "text/html; charset=utf-8" if path in self.hub.web_pages else "application/octet-stream"
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        return self._file((name, data), {"ETag": etag, "Content-Type": kind})

    # The Hugging Face Hub

    def _repository(self, remainder: str, answer: Callable[[str, str], None]) -> None:
        """Answer for the repository whose name starts `remainder`, unless it is refused or unknown."""
        name = "/".join(remainder.split("/")[:2])
        if name in self.hub.refused and not (answer == self._hugging_face_api and self.hub.refused[name] == GATED):
            return self._status(*self.hub.refused[name])
        if name not in self.hub.repositories:
            return self._status(404, "RepoNotFound")
        return answer(name, remainder.removeprefix(name).removeprefix("/"))

    def _hugging_face_api(self, name: str, remainder: str) -> None:
        action, _, revision = remainder.partition("/")
        if revision not in ("main", COMMIT):
            return self._status(404, "RevisionNotFound")
        if action == "revision":
            return self._json({"id": name, "sha": COMMIT})
        folder = self.hub.repositories[name]
        return self._json([_entry(path, path.relative_to(folder).as_posix()) for path in self._listed(folder)])

    def _resolve(self, name: str, remainder: str) -> None:
        _, revision, file = remainder.split("/", 2)
        path = self.hub.repositories[name] / file
        if revision != COMMIT or not path.is_file():
            return self._status(404, "EntryNotFound")
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{_git_blob(path.read_bytes())}"'}
        if path.suffix not in LARGE:
            return self._file((path.name, path.read_bytes()), headers)
        # Large files are on another host, to which a client must not send its token.
        cdn = self.hub.address.replace("127.0.0.1", "localhost")
        return self._status(302, "", headers | {"Location": f"{cdn}/cdn/{name}/{file}"})

    def _listed(self, folder: Path) -> list[Path]:
        return sorted(folder.rglob("*") if self.recursive else folder.glob("*"))

    def _stored(self, remainder: str) -> tuple[str, bytes]:
        organisation, name, file = remainder.split("/", 2)
        path = self.hub.repositories[f"{organisation}/{name}"] / file
        return path.name, path.read_bytes()

    # ModelScope

    def _modelscope(self, remainder: str, query: dict[str, str]) -> None:
        name, action = "/".join(remainder.split("/")[:2]), "/".join(remainder.split("/")[2:])
        status = self.hub.refused.get(name, (200, ""))[0] if name in self.hub.repositories else 404
        if status == 200 and query.get("Revision", "master") not in ("master", "v1", COMMIT):
            status = 404
        if status != 200:
            return self._json({"Code": 10010205001, "Message": "refused", "Success": False}, status)
        folder = self.hub.repositories[name]
        if action == "repo/files":
            rows = [_row(path, path.relative_to(folder).as_posix()) for path in self._listed(folder)]
            return self._json({"Code": 200, "Data": {"Files": rows}, "Success": True})
        path = folder / query["FilePath"]
        return self._file((path.name, path.read_bytes()), {"ETag": f'"{_git_blob(path.read_bytes())}"'})

    # Answers

    def _file(self, file: tuple[str, bytes], headers: dict[str, str]) -> None:
        """Send a file: all of it, the requested range, or as much as a planned fault allows."""
        name, data = file[0], self.hub.content(*file)
        if name in self.hub.broken:
            return self._status(503, "")
        start = self._start(headers.get("ETag", ""))
        if start and start >= len(data):
            return self._status(416, "", {"Content-Range": f"bytes */{len(data)}"})
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if name in self.hub.without_length:
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(data) - start))
        self._end_headers(headers)
        if self.command == "HEAD":
            return None
        if name in self.hub.stalled:
            return self._stall(data[start : self.hub.stalled[name]])
        if name in self.hub.short:
            self.close_connection = True
            return self._send(data[start : start + self.hub.short[name]])
        if name not in self.hub.cut:
            return self._send(data[start:])
        self.hub.broken.add(name)
        self._send(data[start : self.hub.cut[name]])
        self.close_connection = True
        return None

    def _stall(self, body: bytes) -> None:
        stalls_end = self.hub.stalls_end
        self._send(body)
        stalls_end.wait()
        self.close_connection = True

    def _start(self, etag: str) -> int:
        """Return the first byte of the requested Range; 0 without one, or if If-Range names another content."""
        range_header = self.headers.get("Range", "")
        if not range_header or self.headers.get("If-Range", etag) != etag:
            return 0
        return int(range_header.removeprefix("bytes=").partition("-")[0])

    def _json(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self._end_headers({"Content-Type": "application/json"})
        self._send(body)

    def _status(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self._end_headers((headers or {}) | ({"X-Error-Code": code} if code else {}))

    def _end_headers(self, headers: dict[str, str]) -> None:
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, body: bytes) -> None:
        if self.command == "GET":
            self.wfile.write(body)
            self.wfile.flush()


def _git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _entry(path: Path, name: str) -> dict[str, object]:
    """Return a file's entry as the Hugging Face Hub lists it."""
    if path.is_dir():
        return {"type": "directory", "path": name, "size": 0, "oid": COMMIT}
    data = path.read_bytes()
    row: dict[str, object] = {"type": "file", "path": name, "size": len(data), "oid": _git_blob(data)}
    if path.suffix in LARGE:
        digest = hashlib.sha256(data).hexdigest()
        row["lfs"] = {"oid": digest, "size": len(data), "pointerSize": 130}
    return row


def _row(path: Path, name: str) -> dict[str, object]:
    """Return a file's entry as ModelScope lists it."""
    if path.is_dir():
        return {"Type": "tree", "Path": name, "Name": name, "Revision": COMMIT, "CommittedDate": 1_700_000_000}
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return {
        "Type": "blob", "Path": name, "Name": name, "Size": len(data), "Sha256": digest, "Revision": COMMIT,
        "CommittedDate": 1_700_000_000, "IsLFS": path.suffix in LARGE,
    }  # fmt: skip

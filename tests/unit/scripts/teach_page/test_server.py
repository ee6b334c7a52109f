"""The service over its socket: what it answers to requests that the page does not send."""

import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.teach_page.errors import Code
from scripts.teach_page.server import Server
from scripts.teach_page.studio import Place, Studio

KEY = "k" * 32
MAX_BYTES = 1000

UPLOAD = b'{"name": "parts", "base": "photos", "add": false, "replace": true}'


class Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    (home / "cluster.toml").write_text('port = 8000\n[[models]]\nname = "photos"\nfolder = "worker/photos"\n')
    place = Place(home / "cluster.toml", home, home / "models")
    with Server(home, Studio(place), KEY, MAX_BYTES) as running:
        thread = threading.Thread(target=running.serve)
        thread.start()
        yield running
        running.path.unlink(missing_ok=True)  # as `make down` does: then it ends by itself
        thread.join()


def ask(server: Server, method: str, route: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    """Return the status and the error's code of a request."""
    connection = Connection(server.path)
    connection.request(method, f"/teaching/{route}", body, {"X-Teach-Key": KEY, **headers})
    response = connection.getresponse()
    answer = json.loads(response.read())
    return response.status, answer.get("error", {}).get("code", "")


@pytest.mark.parametrize(
    ("method", "route", "body", "status", "code"),
    [
        ("GET", "state", None, 200, ""),
        ("GET", "upload", None, 404, Code.UNKNOWN),
        ("POST", "state", b"{}", 404, Code.UNKNOWN),
        ("DELETE", "job", None, 200, ""),
        ("POST", "upload", b"", 400, Code.BAD_REQUEST),
        ("POST", "upload", b"[1]", 400, Code.BAD_REQUEST),
        ("POST", "upload", b'{"name": "parts"}', 400, Code.BAD_REQUEST),
        ("POST", "upload", UPLOAD.replace(b"false", b"0", 1), 400, Code.BAD_REQUEST),
        ("POST", "upload", UPLOAD.replace(b"}", b', "x": 1}'), 400, Code.BAD_REQUEST),
        ("POST", "upload", b'{"name": "\xff', 400, Code.BAD_REQUEST),
        ("POST", "images?class=cat&file=1.jpg", b"image", 409, Code.NO_UPLOAD),
        ("POST", "images?class=cat&file=1.jpg", bytes(MAX_BYTES + 1), 413, Code.TOO_LARGE),
        ("POST", "teach", b"x" * 200_000, 409, Code.NO_UPLOAD),
    ],
)
def test_each_request_has_an_answer(
    server: Server, method: str, route: str, body: bytes | None, status: int, code: str
) -> None:
    assert ask(server, method, route, body) == (status, code)


def test_a_length_that_is_no_number_is_refused(server: Server) -> None:
    for length in ("-1", "x", "1e3", "\xb2"):
        assert ask(server, "POST", "teach", None, **{"Content-Length": length}) == (400, Code.BAD_REQUEST)


def test_only_its_owner_and_nginx_reach_the_socket_and_a_second_service_is_refused(server: Server) -> None:
    home = server.path.parent.parent
    folder = server.path.parent.stat()
    assert folder.st_mode & 0o777 == (0o710 if os.geteuid() == 0 else 0o700)
    assert folder.st_gid == home.stat().st_gid
    with pytest.raises(CommandError, match="found another `make teach-page` that runs, needed one alone"):
        Server(home, server.studio, KEY, MAX_BYTES)


def test_what_a_killed_service_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "teach").mkdir()
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "teach/socket"))
    (tmp_path / "cluster.toml").write_text("")
    with Server(tmp_path, Studio(Place(tmp_path, tmp_path, tmp_path)), KEY, MAX_BYTES) as running:
        assert running.path.is_socket()
    assert not (tmp_path / "teach").exists()

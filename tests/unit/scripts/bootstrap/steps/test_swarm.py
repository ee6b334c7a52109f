"""Joining a swarm whose managers are slow, and one that refuses; the engine is a server of the test's own."""

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap import engine_api, machine
from scripts.bootstrap.options import Options
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Bundle, Join, Kit, Packages, Server, Volume
from scripts.bootstrap.steps import swarm

SLOW = (
    "Timeout was reached before node joined. The attempt to join the swarm will continue in the background. "
    'Use the "docker info" command to see the current swarm status of your node.'
)


class Engine(socketserver.ThreadingUnixStreamServer):
    """Answers a join with `fault`, and then says in turn that the node is in one of `states`."""

    daemon_threads = True

    def __init__(self, socket: Path, fault: str, states: list[str]) -> None:
        super().__init__(str(socket), Handler)
        self.fault, self.states = fault, states


class Handler(BaseHTTPRequestHandler):
    server: Engine

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(503, {"message": self.server.fault})

    def do_GET(self) -> None:
        self._answer(200, {"Swarm": {"LocalNodeState": self.server.states.pop(0)}})

    def _answer(self, status: int, document: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(record: Record, tmp_path: Path) -> Server:
    """A server that is to join the swarm of 10.0.0.1."""
    bundle = Bundle(tmp_path, "", "b", tmp_path / "kit.tar.gz", (), {})
    return Server(
        Options(), record, tmp_path, "debian-12", "a", bundle, Kit(tmp_path, "", ""), None, 8080, False,
        Volume("/m", "none", "bind"), Packages(None), Join("token", "10.0.0.1:2377"),
    )  # fmt: skip


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(engine_api, "SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(machine, "docker_answers", lambda: True)
    monkeypatch.setattr(swarm, "POLL_INTERVAL_S", 0.01)
    with Engine(tmp_path / "docker.sock", SLOW, ["inactive", "pending", "active"]) as engine:
        threading.Thread(target=engine.serve_forever, daemon=True).start()
        yield engine
        engine.shutdown()


def test_a_join_that_goes_on_in_the_background_is_waited_for(server: Server, asked: Engine) -> None:
    [change] = swarm.changes(server)
    change.make()
    assert asked.states == []


def test_a_join_that_is_refused_is_told_in_the_managers_words(server: Server, asked: Engine) -> None:
    asked.fault = "rpc error: invalid join token"
    [change] = swarm.changes(server)
    with pytest.raises(CommandError, match=r"^the manager at 10\.0\.0\.1:2377 did not accept this server \(rpc error"):
        change.make()
    assert asked.states == ["pending", "active"]

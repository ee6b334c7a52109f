"""Probes over real sockets: kept connections, and members that do what no worker should."""

import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from nginx.gate import probe
from nginx.gate.exposition import Families
from nginx.gate.members import DiscoveredPool, Member
from nginx.gate.resolve import THREADS, look_up, split_address
from nginx.gate.rules import Probe
from nginx.gate.schedule import Schedule
from tests.wait import TIMEOUT_S, until

INTERVAL_S = 0.05
MODEL = "photos"
CONNECTIONS = 2  # of a worker that keeps them: of its probes, and of its metrics


def answer(state: str, worker: str) -> bytes:
    body = json.dumps({"state": state, "worker": worker, "model": MODEL}).encode()
    status = b"200 OK" if state == "ready" else b"503 No"
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


class Server:
    """A server whose connections each run `behave`, until the test ends."""

    def __init__(self, name: str, behave: Callable[["Server", socket.socket], None]) -> None:
        self.name, self.behave, self.over = name, behave, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        self.member = Member(name, "this", "slot", f"127.0.0.1:{self.listener.getsockname()[1]}", MODEL)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self.behave(self, connection)

    def close(self) -> None:
        self.over.set()
        self.listener.close()


class Results:
    """The schedule's probes, by worker."""

    def __init__(self) -> None:
        self.probes: dict[str, list[Probe]] = defaultdict(list)
        self.resolved: list[list[str]] = []
        self.collected: dict[str, list[Families | None]] = defaultdict(list)  # the members' metrics, by worker

    def states(self, server: Server) -> set[tuple[str, str | None]]:
        return {(found.state, found.reason) for found in self.probes[server.name]}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no probe time out because the machine is busy."""
    monkeypatch.setattr(probe, "PATIENCE_S", (TIMEOUT_S,))


@contextmanager
def probing(*servers: Server, pools: tuple[DiscoveredPool, ...] = ()) -> Iterator[Results]:
    results = Results()
    schedule = Schedule(
        INTERVAL_S,
        lambda member, found: results.probes[member.worker].append(found),
        lambda pool, addresses: results.resolved.append(addresses),
        lambda member, found: results.collected[member.worker].append(found),
    )
    schedule.start()
    schedule.follow([*(server.member for server in servers), *pools])
    try:
        yield results
    finally:
        schedule.follow([])
        for server in servers:
            server.close()


def keeps(server: Server, connection: socket.socket) -> None:
    while connection.recv(1000):
        connection.sendall(answer("ready", server.name))


def answers_once(server: Server, connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(answer("ready", server.name))


def drops_the_second_request(server: Server, connection: socket.socket) -> None:
    answers_once(server, connection)
    connection.recv(1000)


def breaks_off_the_second_answer(server: Server, connection: socket.socket) -> None:
    answers_once(server, connection)
    connection.recv(1000)
    connection.sendall(answer("ready", server.name)[:-1])


def sends_more_than_was_asked_for(server: Server, connection: socket.socket) -> None:
    while connection.recv(1000):
        connection.sendall(answer("ready", server.name) + answer("draining", server.name))


@pytest.mark.parametrize(
    "behave",
    [keeps, answers_once, drops_the_second_request, breaks_off_the_second_answer, sends_more_than_was_asked_for],
)
def test_a_connection_that_is_lost_is_no_failed_probe(behave: Callable[[Server, socket.socket], None]) -> None:
    server = Server("photos-0", behave)
    with probing(server) as results:
        until("some probes", lambda: len(results.probes["photos-0"]) >= 10)
        assert results.states(server) == {("ready", None)}
    if behave is keeps:
        assert len(server.connections) <= CONNECTIONS


def test_a_worker_that_is_gone_is_found_on_a_new_connection() -> None:
    server = Server("photos-0", keeps)
    with probing(server) as results:
        until("it is ready", lambda: results.probes["photos-0"])
        server.listener.shutdown(socket.SHUT_RDWR)
        server.close()
        server.connections[0].shutdown(socket.SHUT_RDWR)
        until("it is gone", lambda: results.probes["photos-0"][-1].reason == "[Errno 111] Connection refused")


def drips(server: Server, connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not server.over.wait(0.01):
        connection.sendall(b"x")


def hangs(server: Server, connection: socket.socket) -> None:
    server.over.wait()


def hangs_up(server: Server, connection: socket.socket) -> None:
    connection.recv(1000)


def repeats(head: bytes, block: bytes) -> Callable[[Server, socket.socket], None]:
    def behave(server: Server, connection: socket.socket) -> None:
        connection.sendall(head)
        while not server.over.is_set():
            connection.sendall(block)

    return behave


def says(data: bytes) -> Callable[[Server, socket.socket], None]:
    def behave(server: Server, connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(data)

    return behave


NO_STATE = "its /readyz answered 200 without a known state"
HOSTILE: dict[str, tuple[Callable[[Server, socket.socket], None], str]] = {
    "hangs up": (hangs_up, "it hung up"),
    "half": (says(answer("ready", "half")[:-1]), "it closed the connection in the middle of its answer"),
    "garbage": (says(b"\x00\xff\r\n\r\n"), "it answered without an HTTP status"),
    "headers": (repeats(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000), "it sent more than 64 KB of headers"),
    "body": (repeats(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100_000), NO_STATE),
    "length": (repeats(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", b"x" * 100_000), NO_STATE),
    "chunks": (repeats(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000), NO_STATE),
    "nested": (says(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000), NO_STATE),
}
ENDLESS = {"hangs": hangs, "drips": drips}


def test_members_that_answer_nonsense_take_nothing_from_the_others() -> None:
    good = [Server(f"good-{number}", keeps) for number in range(5)]
    hostile = {name: Server(name, behave) for name, (behave, _) in HOSTILE.items()}
    endless = [Server(name, behave) for name, behave in ENDLESS.items()]
    with probing(*endless, *hostile.values(), *good) as results:
        until("each was probed", lambda: all(results.probes[name] for name in HOSTILE))
        until("the good ones often", lambda: all(len(results.probes[server.name]) >= 20 for server in good))
        assert [results.states(server) for server in good] == [{("ready", None)}] * len(good)
        until("each was asked for metrics", lambda: all(results.collected[name] for name in HOSTILE))
        assert not any(found for name in HOSTILE for found in results.collected[name])
        seen = {name: {reason for _, reason in results.states(server)} for name, server in hostile.items()}
        assert [results.states(server) for server in endless] == [set(), set()]
    assert seen == {name: {reason} for name, (_, reason) in HOSTILE.items()}
    assert all(len(server.connections) <= CONNECTIONS for server in good)


def answers_but_for_metrics(server: Server, connection: socket.socket) -> None:
    while request := connection.recv(1000):
        if request.startswith(b"GET /metrics"):
            server.over.wait()
        connection.sendall(answer("ready", server.name))


def has_metrics(server: Server, connection: socket.socket) -> None:
    text = b"# TYPE wanwu_a gauge\nwanwu_a 1\n"
    while request := connection.recv(1000):
        is_asked = request.startswith(b"GET /metrics")
        own = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
        connection.sendall(own if is_asked else answer("ready", server.name))


def test_metrics_are_collected_and_who_hangs_on_them_delays_no_probe() -> None:
    good, bad = Server("good", has_metrics), Server("bad", answers_but_for_metrics)
    with probing(good, bad) as results:
        until("one was collected", lambda: results.collected["good"])
        before = len(results.probes["bad"])
        until("it was given up", lambda: results.collected["bad"])
        probes = len(results.probes["bad"]) - before
    (family,) = (results.collected["good"][0] or {}).values()
    assert family.samples == 'wanwu_a{worker="good",slot="slot",model="photos"} 1\n'
    assert results.collected["bad"] == [None]
    assert results.states(bad) == {("ready", None)}
    assert probes > 1, "more than one in the time of one request for metrics"


def test_an_answer_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PATIENCE_S", (0.5,))
    endless = [Server(name, behave) for name, behave in ENDLESS.items()]
    with probing(*endless) as results:
        until("each was given up", lambda: all(results.probes[name] for name in ENDLESS))
    assert [{reason for _, reason in results.states(server)} for server in endless] == [{"timed out"}] * len(ENDLESS)


def is_slow(server: Server, connection: socket.socket) -> None:
    while connection.recv(1000):
        server.over.wait(0.2)
        connection.sendall(answer("ready", server.name))


def test_a_slow_worker_gets_more_time_and_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PATIENCE_S", (0.02, TIMEOUT_S))
    server = Server("slow", is_slow)
    with probing(server) as results:
        until("some probes", lambda: len(results.probes["slow"]) >= 4)
    assert [found.reason for found in results.probes["slow"]][:4] == ["timed out", None, None, None]


def test_a_member_that_is_followed_no_more_is_left_alone() -> None:
    server, other = Server("photos-0", keeps), Server("photos-1", keeps)
    with probing(server, other) as results:
        until("both are probed", lambda: results.probes["photos-0"] and results.probes["photos-1"])
    # Its connection ends, and so does the server's loop.
    until("the connections are closed", lambda: all(end.fileno() < 0 for end in server.connections))


# --- Names ------------------------------------------------------------------------------------------------------


def test_members_of_one_name_share_few_threads_and_a_pool_s_name_is_resolved() -> None:
    server = Server("photos-0", keeps)
    port = int(server.member.address.rpartition(":")[2])
    named = [Server(f"name-{number}", keeps) for number in range(40)]
    for one in named:
        one.member = Member(one.name, "this", "slot", f"localhost:{one.member.address.rpartition(':')[2]}", MODEL)
    before = threading.active_count()
    with probing(server, *named, pools=(DiscoveredPool(MODEL, f"localhost:{port}"),)) as results:
        until("all are probed", lambda: all(len(results.probes[one.name]) >= 2 for one in named))
        until("the pool is resolved", lambda: results.resolved)
        served = sum(len(one.connections) for one in (server, *named))
        assert threading.active_count() - before - served <= THREADS + 1
        assert f"127.0.0.1:{port}" in results.resolved[-1]
        assert {state for one in named for state, _ in results.states(one)} == {"ready"}


def test_a_name_without_an_address_and_a_port_that_cannot_be_are_said() -> None:
    with pytest.raises(OSError, match=r"^not\.\.a\.name has no address: "):
        look_up("not..a.name")
    for port in (0, 65536, 99999):
        with pytest.raises(OSError, match=rf"^h:{port}: found port {port}, needed one from 1 to 65535$"):
            split_address(f"h:{port}")
    assert split_address("[fd00::1]:80") == ("fd00::1", 80)

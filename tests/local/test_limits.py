"""What the gateway takes at once, of one client and of all: real Nginx, bodies that never end, several addresses."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.cluster.keys import new_key
from tests.local.gateway_harness import Gateway, Reply, ask_raw
from tests.wait import until

POOLS = {"photos": ["photos-0"]}
# Of all clients 5 bodies of 0.1 to 1 MB, 3 above and 2 chunked ones; of one client 2, 1 and 1.
OPTIONS = {"max_body_mb": 2, "bodies_mb": 20, "clients": {"bodies_mb": 8, "connections": 3}}
SMALL = 500_000
HELD = ("01", "08")  # established, and closed by the other end alone: a socket's state in /proc/net/tcp


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("limits"), POOLS, options=OPTIONS) as gateway:
        yield gateway.start()


@contextlib.contextmanager
def unfinished(
    gateway: Gateway, length: int | None, count: int = 1, source: str = "127.0.0.1", key: str = ""
) -> Iterator[list[socket.socket]]:
    """`count` requests whose bodies never end, from the address `source`; None: chunked. They have their places.

    At the end Nginx has closed them, too: until then it counts them, and would refuse those of the next test.
    """
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    head = f"POST /predict HTTP/1.1\r\n{_named(key)}Expect: 100-continue\r\n{size}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), 60, (source, 0))))
            opened[-1].sendall(head)
            assert opened[-1].recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"  # sent once it is counted
        clients = {connection.getsockname()[1] for connection in opened}
        yield opened
    until("Nginx has closed them, too", lambda: not clients & served(gateway.port))


def _named(key: str) -> str:
    """Return the headers that every request has, with the client's key if it has one."""
    return "Host: a\r\n" + (f"X-API-Key: {key}\r\n" if key else "")


def served(port: int) -> set[int]:
    """Return the clients' ports of the connections that the server at `port` has not closed."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = [(row[1].partition(":")[2], row[2].partition(":")[2]) for row in rows if row[3] in HELD]
    return {int(client, 16) for server, client in ends if int(server, 16) == port}


def refused(gateway: Gateway, length: int | None, source: str = "127.0.0.1", key: str = "") -> bool:
    """Whether a request is refused; it is, or is not, as the contract says."""
    with socket.create_connection(("127.0.0.1", gateway.port), 60, (source, 0)) as connection:
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        head = f"POST /predict HTTP/1.1\r\n{_named(key)}Connection: close\r\n{size}\r\n\r\n"
        connection.sendall(head.encode() + (b"0\r\n\r\n" if length is None else bytes(length)))
        text = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    status = int(text.split(b" ", 2)[1])
    if status == 429:
        assert b"\r\nRetry-After: 1\r\n" in text
        assert json.loads(text.partition(b"\r\n\r\n")[2])["error"]["code"] == "too_many_requests"
    return {200: False, 429: True}[status]


@pytest.mark.parametrize(("length", "places"), [(SMALL, 2), (1_500_000, 1), (None, 1)])
def test_a_client_has_its_places_for_bodies_and_leaves_those_of_others(
    gateway: Gateway, length: int | None, places: int
) -> None:
    with unfinished(gateway, length, places):
        assert refused(gateway, length)
        assert not refused(gateway, 1000)
        assert not refused(gateway, length, "127.0.0.2")
    until("the places are free again", lambda: not refused(gateway, length))


def test_all_clients_together_have_a_bound(gateway: Gateway) -> None:
    with (
        unfinished(gateway, SMALL, 2, "127.0.0.1"),
        unfinished(gateway, SMALL, 2, "127.0.0.2"),
        unfinished(gateway, SMALL, 1, "127.0.0.4"),
    ):
        assert refused(gateway, SMALL, "127.0.0.3")
        assert not refused(gateway, 1000, "127.0.0.3")
        assert gateway.ask("GET", "/status").status == 200
    until("the places are free again", lambda: not refused(gateway, SMALL, "127.0.0.3"))


def test_slow_bodies_are_cut_once_others_need_their_places(tmp_path: Path) -> None:
    hasty = {"worker_shutdown_timeout 60s": "worker_shutdown_timeout 1s"}
    options = {"max_body_mb": 2, "bodies_mb": 20, "clients": {"bodies_mb": 0}}
    with Gateway(tmp_path, POOLS, hasty, options=options) as own, unfinished(own.start(), SMALL, 5) as slow:

        def trickle() -> bool:
            """Send one more byte of each body, so that no pause between two reads cuts it; whether all were cut."""
            cut = 0
            for connection in slow:
                try:
                    connection.sendall(b"x")
                except OSError:
                    cut += 1
            return cut == len(slow)

        assert not trickle()
        assert refused(own, SMALL)
        until("the slow bodies are cut", trickle)
        until("the places are free again", lambda: not refused(own, SMALL))
        assert len(own.gate_log("bodies_full")) == 1


def test_a_client_has_its_connections(gateway: Gateway) -> None:
    with unfinished(gateway, 1000, 3):
        assert refused(gateway, 1000)
        assert not refused(gateway, 1000, "127.0.0.2")
        assert gateway.ask("GET", "/livez").status == 200


def test_a_key_is_a_client_wherever_it_is(tmp_path: Path) -> None:
    (one, first), (other, second) = (new_key(name, "admin", ()) for name in ("one", "other"))
    with Gateway(tmp_path, POOLS, options=OPTIONS | {"keys": True}, keys=[first, second], key=one) as own:
        own.start()
        with unfinished(own, 1000, 2, key=one), unfinished(own, 1000, 1, "127.0.0.2", one):
            assert refused(own, 1000, "127.0.0.3", one)
            assert not refused(own, 1000, "127.0.0.1", other)


def test_a_client_has_its_requests_a_second(tmp_path: Path) -> None:
    options = {"clients": {"requests_s": 1, "burst": 2}}
    with Gateway(tmp_path, POOLS, options=options) as own:
        own.start()
        until("the burst is there", lambda: own.ask("GET", "/v2").status == 200)
        many = b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n" * 20
        with socket.create_connection(("127.0.0.1", own.port), timeout=60) as connection:
            connection.sendall(many + b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        assert text.count(b"HTTP/1.1 429 ") >= 10
        assert text.count(b"HTTP/1.1 429 ") == text.count(b"\r\nRetry-After: 1\r\n")
        assert text.endswith(b'{"status": "alive"}')  # which no worker answers


def test_refusals_are_errors_of_each_protocol(gateway: Gateway) -> None:
    with unfinished(gateway, 1000, 3):
        assert refused(gateway, 1000)
        replies: list[Reply] = [gateway.ask("POST", path, b"x") for path in ("/predict", "/v2/models/photos/infer")]
        assert [(reply.status, reply.error["code"]) for reply in replies] == [(429, "too_many_requests")] * 2


def test_an_odd_length_is_counted_and_a_wrong_one_refused(gateway: Gateway) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: "
    assert ask_raw(gateway.port, head + b"0000000001\r\n\r\nx").status == 200
    assert ask_raw(gateway.port, head + b"-1\r\n\r\n").status == 400

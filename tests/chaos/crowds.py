"""Rows in which other clients ask too much: too slowly, too large, or too often."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests import images
from tests.chaos.outcome import SLOWEST, Bound, Outcome, observed, quantile
from tests.chaos.place import Place
from tests.cluster.load import open_load
from tests.local.gateway_harness import ask

SOCKETS = 200  # idle ones, as many whose headers do not end, and as many whose bodies drip
UPLOAD_BYTES = 20 << 20
COSTLY = (2400, 1800)  # pixels of an image that takes a worker longer than it takes a client to send
TOO_OFTEN = 3  # times as many requests as the service can answer
CLIENTS = 8  # that measure how many it can
MORE_KB = 512 << 10  # of all processes, whatever comes at once
LEAST_SHARE = 0.1  # of what it can answer, when it is asked for more: an overloaded service goes on
REFUSED_S = 5.0  # in which 99% of the refusals come, at most


def slow_clients(place: Place, times: int) -> Outcome:
    """Hold idle connections, endless headers and dripping bodies for `times` seconds."""
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\n"
    starts = (b"", head, head + b"Content-Length: 1000000\r\n\r\n")
    with observed(place) as outcome, ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(3 * SOCKETS)]
        for number, one in enumerate(sockets):
            one.connect(("127.0.0.1", place.service.port))
            one.sendall(starts[number % 3])
        for _ in range(times):
            time.sleep(1.0)
            for one in sockets[2::3]:
                one.sendall(b"x")
    return outcome


def uploads(place: Place, times: int) -> Outcome:
    """Upload `times` bodies of 20 MB at once, none of them an image; another client's requests go on."""
    body = b"\xff\xd8" + bytes(UPLOAD_BYTES)
    before = place.memory()
    with observed(place) as outcome, ThreadPoolExecutor(times) as pool:
        sent = [pool.submit(ask, place.service.port, "POST", "/predict", body) for _ in range(times)]
        statuses = {one.result().status for one in sent}
        outcome.figures["more kB"] = place.memory() - before
    outcome.bounds = {"more kB": Bound(most=MORE_KB)}
    assert statuses <= {415, 422, 429}, statuses
    return outcome


def overload(place: Place, times: int) -> Outcome:
    """Send three times as many requests as the service can answer for `times` seconds; it refuses the rest with 429."""
    costly = Path(place.service.cluster.parent / "costly.jpg")
    costly.write_bytes(images.encoded(images.photo(COSTLY), "JPEG"))
    capacity = _capacity(place, costly.read_bytes(), times)
    before = place.memory()
    started = time.monotonic()
    rate = TOO_OFTEN * capacity
    with open_load("127.0.0.1", place.service.port, costly, rate, at_once=10_000) as load:
        time.sleep(times)
        memory = place.memory()
    seconds = time.monotonic() - started
    outcome = Outcome(load.sent, allowed=1.0)
    assert set(outcome.lost) <= {"429"}, outcome.lost
    refused = [one for one in load.sent if one.outcome == "429"]
    outcome.figures = {
        "of capacity": (len(load.sent) - len(refused)) / seconds / capacity,
        "429 p99, s": quantile(refused, SLOWEST),
        "more kB": memory - before,
    }
    outcome.bounds = {"of capacity": Bound(least=LEAST_SHARE), "more kB": Bound(most=MORE_KB)}
    outcome.paced = {"429 p99, s": Bound(most=REFUSED_S)}
    return outcome


def _capacity(place: Place, body: bytes, seconds: int) -> float:
    """Return how many requests a second the service answers."""
    started = time.monotonic()
    ends = started + seconds

    def client(_: int) -> int:
        answered = 0
        while time.monotonic() < ends:
            answered += ask(place.service.port, "POST", "/predict", body).status == 200
        return answered

    with ThreadPoolExecutor(CLIENTS) as pool:
        answered = sum(pool.map(client, range(CLIENTS)))
    return answered / (time.monotonic() - started)  # the last answers may come long after `ends`

"""Requests beside each other in a real worker: heavy ones keep to their share, and nobody is worked for in vain."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

from tests.local.gateway_harness import Reply
from tests.local.test_http_server import connected, head
from tests.local.worker_harness import GREY, RED, WHITE, form, in_flight, running
from tests.wait import until

MAPS, BULKS, VICTIMS, REQUESTS, IMAGES = 8, 3, 8, 16, 16


@contextmanager
def repeated(count: int, send: Callable[[], Reply]) -> Iterator[Counter[int]]:
    """Send requests from `count` threads, one after the other, until the block ends; count their statuses."""
    statuses, stop = Counter[int](), threading.Event()

    def client() -> None:
        while not stop.is_set():
            statuses[send().status] += 1

    threads = [threading.Thread(target=client) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_heat_maps_and_requests_of_many_images_never_refuse_an_ordinary_one(made: Path, tmp_path: Path) -> None:
    body, headers = form(*[(f"{number}.png", RED) for number in range(IMAGES)])
    with (
        running(made / "bright", tmp_path / "log") as process,
        ThreadPoolExecutor(VICTIMS) as pool,
        repeated(MAPS, lambda: process.predict(RED, "?heat_map=true")) as maps,
        repeated(BULKS, lambda: process.ask("POST", "/predict", body, headers)) as bulks,
    ):
        until("both kinds are answered", lambda: maps[200] and bulks[200])
        victims = Counter(reply.status for reply in pool.map(process.predict, [RED] * REQUESTS))
        assert process.ask("GET", "/readyz").status == 200
    assert victims == {200: REQUESTS}
    assert set(maps) <= {200, 429}
    assert set(bulks) <= {200, 429}


def test_a_full_share_says_which_and_leaves_the_other_places(made: Path, tmp_path: Path) -> None:
    body, headers = form(*[("", WHITE)] * 8)
    with (
        running(made / "slow", tmp_path / "log", QUEUE=8, MAX_IMAGES=8) as process,
        connected(process) as connection,
    ):
        connection.sendall(head(body, kind=headers["Content-Type"]) + body)
        until("it holds its share", lambda: in_flight(process) == 2)
        refused = process.ask("POST", "/predict", body, headers)
        assert (refused.status, refused.header("Retry-After")) == (429, "1")
        assert "2 of 2 places for requests of several images" in refused.error["message"]


def test_probes_are_answered_while_every_place_is_taken(made: Path, tmp_path: Path) -> None:
    queue = 24
    with running(made / "slow", tmp_path / "log", QUEUE=queue, MAX_IMAGES=1) as process, ExitStack() as clients:
        for _ in range(queue):
            clients.enter_context(connected(process)).sendall(head(WHITE) + WHITE)
        until("every place is taken", lambda: in_flight(process) == queue)
        for path in ("/livez", "/readyz", "/v2/health/ready", "/metrics"):
            assert process.ask("GET", path).status == 200
        assert in_flight(process) == queue, "none was answered meanwhile"


def test_past_the_deadline_a_request_of_many_images_is_504_and_the_rest_is_not_worked_on(
    made: Path, tmp_path: Path
) -> None:
    body, headers = form(*[("", GREY)] * 3, *[("", RED)] * 13)
    with running(made / "slow", tmp_path / "log", DEADLINE_S=1) as process:
        reply = process.ask("POST", "/predict", body, headers)
        assert (reply.status, reply.error["code"]) == (504, "deadline")
        assert in_flight(process) == 0
        until("the queue is empty", lambda: process.ask("GET", "/readyz").json["queued"] == 0)
        assert process.metric("wanwu_batch_size_images_sum") <= 3


def test_a_client_that_has_gone_is_not_worked_for(made: Path, tmp_path: Path) -> None:
    ways = list(product(["/predict", "/predict?top_k=1", "/predict?heat_map=true"], [socket.SHUT_WR, socket.SHUT_RDWR]))
    with (
        running(made / "slow", tmp_path / "log") as process,
        ThreadPoolExecutor(2) as pool,
    ):
        others = [pool.submit(process.predict, GREY) for _ in range(2)]  # they keep the engine for seconds
        until("the engine is busy", lambda: in_flight(process) == len(others))
        for path, end in ways:
            with connected(process) as connection:
                connection.sendall(head(WHITE, "X-Request-ID: gone", path=path) + WHITE)
                until("it waits, too", lambda: in_flight(process) > len(others))
                connection.shutdown(end)
                until("its places are free", lambda: in_flight(process) <= len(others))
                if end == socket.SHUT_WR:
                    assert connection.recv(1 << 16).startswith(b"HTTP/1.1 499 ")
        assert {other.result().status for other in others} <= {200, 504}
        until("the queue is empty", lambda: process.ask("GET", "/readyz").json["queued"] == 0)
        counted = 'wanwu_requests_total{route="/predict",status="499"}'
        until("all are counted", lambda: process.metric(counted) == len(ways))
        assert process.metric("wanwu_batch_size_images_sum") <= len(others)
        assert process.metric('wanwu_rejected_total{reason="client_gone"}') == len(ways)
        lines = [json.loads(line) for line in process.log.read_text().splitlines()]
        assert [line["status"] for line in lines if line.get("request_id") == "gone"] == [499] * len(ways)

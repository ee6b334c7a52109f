"""The worker's HTTP server: whole answers, and a fast path that answers as Flask does."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import folders, images
from tests.local.test_worker import GREY, RED, later
from tests.local.worker_harness import WorkerProcess, running

READ = 1 << 20
ITS_OWN = ("date", "server")  # of a header: the time, and that gunicorn names itself


@contextmanager
def connected(worker: WorkerProcess) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", worker.port), timeout=30) as connection:
        yield connection


def head(body: bytes, *more: str, path: str = "/predict", kind: str = "image/png") -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: w", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more)
    return "\r\n".join((*lines, "", "")).encode()


def answer(data: bytes) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Status line, headers and JSON of an answer, which must be there as a whole and be all there is."""
    top, _, body = data.partition(b"\r\n\r\n")
    line, *rows = top.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in rows)}
    assert len(body) == int(headers["content-length"])
    return line, headers, json.loads(body)


def ask(connection: socket.socket, *pieces: bytes) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Send a request in `pieces` and read once: an answer that left in two writes would not be there as a whole."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        connection.sendall(piece)
    return answer(connection.recv(READ))


@pytest.mark.parametrize("path", ["/predict", "/predict?top_k=3", "/models/bright", "/v2/models/bright/infer"])
def test_an_answer_leaves_in_one_write(worker: WorkerProcess, path: str) -> None:
    with connected(worker) as connection:
        for _ in range(20):
            ask(connection, head(RED, path=path) + RED)


BODIES = {"an image": RED, "no image": b"not an image", "half an image": RED[: len(RED) // 2]}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_fast_path_answers_as_flask_does(worker: WorkerProcess, body: bytes) -> None:
    def answered(*more: str) -> tuple[str, dict[str, str], dict[str, Any]]:
        with connected(worker) as connection:
            line, headers, found = ask(connection, head(body, "X-Request-ID: same", *more) + body)
        found.pop("timing_ms", None)
        headers = {name: value for name, value in headers.items() if name not in (*ITS_OWN, "content-length")}
        return line.upper(), headers, found

    fast, flask = answered(), answered("X-Unknown: 1")
    assert fast == flask
    assert fast[1]["x-request-id"] == "same"


def in_form(*files: bytes) -> bytes:
    part = 'Content-Disposition: form-data; name="image"; filename="一.png"\r\nContent-Type: image/png\r\n\r\n'
    return b"".join(b"--edge\r\n" + part.encode() + file + b"\r\n" for file in files) + b"--edge--\r\n"


@pytest.mark.parametrize("files", [[RED], [RED, RED], [b"not an image"], [b""], []], ids=len)
def test_the_fast_path_answers_forms_as_flask_does(worker: WorkerProcess, files: list[bytes]) -> None:
    def answered(*more: str) -> tuple[str, dict[str, Any]]:
        body, kind = in_form(*files), "multipart/form-data; boundary=edge"
        with connected(worker) as connection:
            line, _, found = ask(connection, head(body, "X-Request-ID: same", *more, kind=kind) + body)
        for result in (found, *found.get("results", [])):
            result.pop("timing_ms", None)
        return line.upper(), found

    assert answered() == answered("X-Unknown: 1")


def test_a_full_queue_refuses_in_the_same_words(made: Path, tmp_path: Path) -> None:
    with running(made / "slow", tmp_path / "log", QUEUE=1, MAX_IMAGES=1) as process:
        first = later(process, GREY)
        with connected(process) as one, connected(process) as other:
            fast = ask(one, head(RED, "X-Request-ID: r") + RED)
            flask = ask(other, head(RED, "X-Request-ID: r", "X-Unknown: 1") + RED)
        assert not first.done()
        assert fast[2] == flask[2]
        assert fast[0].upper() == flask[0].upper() == "HTTP/1.1 429 TOO MANY REQUESTS"
        assert fast[1]["retry-after"] == flask[1]["retry-after"] == "1"
        assert first.result(60).status == 200


def test_both_paths_are_counted_and_logged_alike(worker: WorkerProcess) -> None:
    counted = 'wanwu_requests_total{route="/predict",status="200"}'
    before = worker.metric(counted), worker.metric("wanwu_decode_seconds_count")
    with connected(worker) as connection:
        ask(connection, head(RED, "X-Request-ID: fast") + RED)
        ask(connection, head(RED, "X-Request-ID: flask", "X-Unknown: 1") + RED)
    assert (worker.metric(counted), worker.metric("wanwu_decode_seconds_count")) == (before[0] + 2, before[1] + 2)
    lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
    fast, flask = (next(line for line in lines if line.get("request_id") == name) for name in ("fast", "flask"))
    assert [fast.keys(), fast["path"], fast["status"]] == [flask.keys(), "/predict", 200]


def test_requests_in_pieces_and_one_after_the_other_are_answered_on_one_connection(worker: WorkerProcess) -> None:
    photo = images.encoded(folders.image(folders.RED, (1500, 1200)), "PNG")
    with connected(worker) as connection:
        for body in (RED, photo):
            whole = head(body) + body
            middle = len(head(body)) + len(body) // 2
            for cut in (10, len(head(body)) - 2, len(head(body)), middle, len(whole) - 1):
                line, headers, found = ask(connection, whole[:cut], whole[cut:])
                assert (line, headers["connection"]) == ("HTTP/1.1 200 OK", "keep-alive")
                assert found["predictions"][0]["label_en"] == "cat"


def test_requests_sent_without_waiting_are_answered_in_their_order(worker: WorkerProcess) -> None:
    with connected(worker) as connection:
        names = [f"p{number}" for number in range(6)]
        connection.sendall(b"".join(head(RED, f"X-Request-ID: {name}") + RED for name in names))
        seen = b""
        while seen.count(b"HTTP/1.1 200") < len(names) or not seen.endswith(b"}\n"):
            part = connection.recv(READ)
            assert part, seen
            seen += part
    assert [seen.index(f'"request_id":"{name}"'.encode()) for name in names] == sorted(
        seen.index(f'"request_id":"{name}"'.encode()) for name in names
    )


def test_a_client_that_leaves_before_the_end_of_its_image_disturbs_nobody(worker: WorkerProcess) -> None:
    for _ in range(20):
        with connected(worker) as connection:
            connection.sendall(head(RED) + RED[:10])
    with connected(worker) as connection:
        assert ask(connection, head(RED) + RED)[0] == "HTTP/1.1 200 OK"
    assert worker.metric("wanwu_in_flight_images") == 0
    assert "Traceback" not in worker.log.read_text()


def test_while_it_ends_it_answers_once_more_and_says_that_it_closes(made: Path, tmp_path: Path) -> None:
    slow = running(made / "slow", tmp_path / "log", DRAIN_S=0, DEADLINE_S=20)
    with slow as process, connected(process) as connection:
        ask(connection, head(RED) + RED)
        held = later(process, GREY)
        process.process.terminate()
        process.wait_until("draining")
        assert ask(connection, head(RED) + RED)[0] == "HTTP/1.1 200 OK"
        assert held.result(60).status == 200
        assert process.process.wait(60) == 0
        assert connection.recv(READ) == b""

"""The load generator, against real servers on this machine."""

import contextlib
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from werkzeug.formparser import parse_form_data

from scripts.bench.client import Job, arrivals, run
from scripts.bench.requests import Answer, read_answer, request_bytes

IMAGE = b"\xff\xd8\xff\r\n--not the end\x00" * 2000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def split(request: bytes) -> tuple[str, dict[str, str], bytes]:
    """The first line, the headers and the body of a request."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


def test_a_raw_request_is_the_image_with_its_length() -> None:
    first, headers, body = split(request_bytes("raw", "/predict", IMAGE))
    assert first == "POST /predict HTTP/1.1"
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Content-Length"] == str(len(IMAGE))
    assert body == IMAGE


@pytest.mark.parametrize(("path", "field"), [("/predict", "image"), ("/classify", "images")])
def test_a_multipart_request_is_read_by_others_as_one_file(path: str, field: str) -> None:
    _, headers, body = split(request_bytes("multipart", path, IMAGE))
    environ = {
        "wsgi.input": io.BytesIO(body), "CONTENT_TYPE": headers["Content-Type"],
        "CONTENT_LENGTH": headers["Content-Length"], "REQUEST_METHOD": "POST",
    }  # fmt: skip
    _, form, files = parse_form_data(environ)
    assert not form
    assert list(files) == [field]
    assert files[field].read() == IMAGE


def test_a_json_request_holds_base64_under_the_key_that_its_form_names() -> None:
    _, headers, body = split(request_bytes("json:image_data", "/predict", b"abc"))
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"image_data": "YWJj"}


@pytest.mark.parametrize(
    ("received", "answer"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{", None),
        (OK, Answer("200", closes=False)),
        (b"HTTP/1.1 429 Many\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", Answer("429", closes=True)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", Answer("200", closes=False)),
    ],
)
def test_an_answer_is_read_once_it_is_complete(received: bytes, answer: Answer | None) -> None:
    assert read_answer(received) == answer


def test_an_answer_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="an answer without a length: HTTP"):
        read_answer(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n{}")


@contextmanager
def server(*answers: tuple[float, bytes]) -> Iterator[str]:
    """The address of a server that takes one request after the other: seconds it waits and its answer, again and again.

    After an empty answer it closes the connection.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    turn, lock = iter(range(1_000_000)), threading.Lock()

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
            while reader.readline():
                length = 0
                while (line := reader.readline()) != b"\r\n":
                    length = int(line.split()[1]) if line.startswith(b"Content-Length") else length
                reader.read(length)
                with lock:
                    seconds, answer = answers[next(turn) % len(answers)]
                    time.sleep(seconds)
                if not answer:
                    return
                connection.sendall(answer)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(IMAGE + bytes([number]))
    return tmp_path


def job(address: str, images: Path, *, clients: int = 2, seconds: float = 0.5, rate: float | None = None) -> Job:
    return Job([address], "/predict", "raw", str(images), clients, seconds, 0.0, rate)


def test_a_closed_loop_counts_each_answer_and_its_time(images: Path) -> None:
    with server((0.02, OK)) as address:
        outcome = run(job(address, images))
    assert outcome.seconds >= 0.5
    assert 2 <= len(outcome.latencies_ms) <= outcome.seconds / 0.02 + 1
    assert min(outcome.latencies_ms) >= 20
    assert not outcome.errors
    assert outcome.client_cpu_s > 0


def test_whatever_is_not_200_and_every_lost_connection_is_an_error(images: Path) -> None:
    with server((0, OK), (0, b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), (0, b"")) as address:
        outcome = run(job(address, images))
    assert outcome.latencies_ms
    assert set(outcome.errors) == {"503", "ConnectionResetError"}


def test_a_server_that_closes_after_each_answer_costs_no_error(images: Path) -> None:
    closing = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with server((0, closing)) as address:
        outcome = run(job(address, images))
    assert outcome.latencies_ms
    assert not outcome.errors


def test_a_server_that_is_not_there_is_an_error_and_not_an_endless_loop(images: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    outcome = run(job(address, images))
    assert not outcome.latencies_ms
    assert set(outcome.errors) == {"ConnectionRefusedError"}
    # Two clients, each with a pause after a failure.
    assert outcome.errors["ConnectionRefusedError"] <= 2 * (outcome.seconds / 0.1 + 1)


def test_an_open_loop_counts_the_wait_that_a_stall_of_the_server_causes(images: Path) -> None:
    stalls = [(0.4, OK)] + [(0.0, OK)] * 999
    with server(*stalls) as address:
        outcome = run(job(address, images, seconds=1.0, rate=100))
    assert len(outcome.latencies_ms) == len(arrivals(100, 1.0, 0))
    late = [spent for spent in outcome.latencies_ms if spent > 100]
    assert len(late) > 10  # a closed loop would have seen one: all that were due meanwhile waited, too
    assert max(outcome.latencies_ms) >= 399


def test_what_is_not_answered_in_an_open_loop_is_an_error(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.bench.client.PATIENCE_S", 0.2)
    with server((30, OK)) as address:
        outcome = run(job(address, images, seconds=0.2, rate=50))
    assert not outcome.latencies_ms
    assert outcome.errors == {"no answer": len(arrivals(50, 0.2, 0))}


def test_arrivals_are_the_same_for_a_seed_and_as_many_as_asked_on_average() -> None:
    assert arrivals(100, 50, 1) == arrivals(100, 50, 1) != arrivals(100, 50, 2)
    moments = arrivals(100, 50, 1)
    assert moments == sorted(moments)
    assert moments[0] > 0
    assert moments[-1] < 50
    assert len(moments) == pytest.approx(5000, rel=0.05)

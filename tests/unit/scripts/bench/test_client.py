"""The load generator, with real servers on this machine."""

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

from scripts.bench.client import Job, arrival_times, run
from scripts.bench.requests import Response, read_response, request_bytes

IMAGE = b"\xff\xd8\xff\r\n--not the end\x00" * 2000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def split(request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Return the first line, the headers and the body of a request."""
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
def test_another_parser_reads_a_multipart_request_as_one_file(path: str, field: str) -> None:
    _, headers, body = split(request_bytes("multipart", path, IMAGE))
    environ = {
        "wsgi.input": io.BytesIO(body),
        "CONTENT_TYPE": headers["Content-Type"],
        "CONTENT_LENGTH": headers["Content-Length"],
        "REQUEST_METHOD": "POST",
    }
    _, form, files = parse_form_data(environ)
    assert not form
    assert list(files) == [field]
    assert files[field].read() == IMAGE


def test_a_json_request_has_base64_under_the_key_of_its_encoding() -> None:
    _, headers, body = split(request_bytes("json:image_data", "/predict", b"abc"))
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"image_data": "YWJj"}


@pytest.mark.parametrize(
    ("received", "response"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{", None),
        (OK, Response("200", closes=False)),
        (b"HTTP/1.1 429 Many\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", Response("429", closes=True)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", Response("200", closes=False)),
    ],
)
def test_a_response_is_read_once_it_is_complete(received: bytes, response: Response | None) -> None:
    assert read_response(received) == response


def test_a_response_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a response without a length: HTTP"):
        read_response(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n{}")


@contextmanager
def server(*answers: tuple[float, bytes]) -> Iterator[str]:
    """Run a server that cycles through `answers`, the delay in seconds and the response of each; yield its address.

    It takes one request after another and closes the connection instead of sending an empty response.
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


def test_a_closed_loop_records_the_latency_of_each_answer(images: Path) -> None:
    with server((0.02, OK)) as address:
        outcome = run(job(address, images))
    assert outcome.seconds >= 0.5
    assert 2 <= len(outcome.latencies_ms) <= outcome.seconds / 0.02 + 1
    assert min(outcome.latencies_ms) >= 20
    assert not outcome.errors
    assert outcome.client_cpu_s > 0


def test_other_statuses_and_lost_connections_are_errors(images: Path) -> None:
    with server((0, OK), (0, b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), (0, b"")) as address:
        outcome = run(job(address, images))
    assert outcome.latencies_ms
    assert set(outcome.errors) == {"503", "ConnectionResetError"}


def test_a_server_that_closes_after_each_answer_causes_no_errors(images: Path) -> None:
    closing = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with server((0, closing)) as address:
        outcome = run(job(address, images))
    assert outcome.latencies_ms
    assert not outcome.errors


def test_a_missing_server_is_an_error_and_not_an_endless_loop(images: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    outcome = run(job(address, images))
    assert not outcome.latencies_ms
    assert set(outcome.errors) == {"ConnectionRefusedError"}
    # Two clients, each with a pause after a failure.
    assert outcome.errors["ConnectionRefusedError"] <= 2 * (outcome.seconds / 0.1 + 1)


def test_an_open_loop_counts_the_wait_caused_by_a_stall_of_the_server(images: Path) -> None:
    stalls = [(0.4, OK)] + [(0.0, OK)] * 999
    with server(*stalls) as address:
        outcome = run(job(address, images, seconds=1.0, rate=100))
    assert len(outcome.latencies_ms) == len(arrival_times(100, 1.0, 0))
    late = [latency for latency in outcome.latencies_ms if latency > 100]
    assert len(late) > 10  # a closed loop would see only one: all requests due during the stall waited too
    assert max(outcome.latencies_ms) >= 399


def test_an_unanswered_request_of_an_open_loop_is_an_error(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.bench.client.DRAIN_TIMEOUT_S", 0.2)
    with server((30, OK)) as address:
        outcome = run(job(address, images, seconds=0.2, rate=50))
    assert not outcome.latencies_ms
    assert outcome.errors == {"no answer": len(arrival_times(50, 0.2, 0))}


def test_arrival_times_are_reproducible_and_have_the_requested_rate() -> None:
    assert arrival_times(100, 50, 1) == arrival_times(100, 50, 1) != arrival_times(100, 50, 2)
    moments = arrival_times(100, 50, 1)
    assert moments == sorted(moments)
    assert moments[0] > 0
    assert moments[-1] < 50
    assert len(moments) == pytest.approx(5000, rel=0.05)

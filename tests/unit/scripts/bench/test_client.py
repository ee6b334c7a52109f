"""The requests of the benchmark and the client that checks every answer, with real servers on this machine."""

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

from scripts.bench.client import Client, Job, arrival_times
from scripts.bench.requests import first_label, request_bytes

IMAGE = b"\xff\xd8\xff\r\n--not the end\x00" * 2000


def answer(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


CAT, DOG = (answer(json.dumps([{"label": label}]).encode()) for label in ("cat", "dog"))


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


@pytest.mark.parametrize(("encoding", "field"), [("multipart", "image"), ("multipart:images", "images")])
def test_another_parser_reads_a_multipart_request_as_one_file(encoding: str, field: str) -> None:
    _, headers, body = split(request_bytes(encoding, "/predict", IMAGE))
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
    "body",
    [
        {"model": "photos", "predictions": [{"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.1}]},
        [{"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.1}],
        {"category": "cat"},
        {"output": "cat"},
        ["cat"],
    ],
    ids=["this service", "baseline", "mosec", "litserve", "bentoml"],
)
def test_the_first_label_of_every_servers_answer_is_found(body: object) -> None:
    assert first_label(json.dumps(body).encode()) == "cat"


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[]", b"null", b"3", b'{"predictions": []}', b'{"label": 3}'])
def test_an_answer_without_a_label_has_none(body: bytes) -> None:
    assert first_label(body) == ""


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
                    seconds, response = answers[next(turn) % len(answers)]
                    time.sleep(seconds)
                if not response:
                    return
                connection.sendall(response)
                if b"Connection: close" in response:
                    return

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
def labels(tmp_path: Path) -> dict[str, str]:
    """Return the expected label of three images, by path."""
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(IMAGE + bytes([number]))
    return {str(path): "cat" for path in tmp_path.iterdir()}


def run(address: str, labels: dict[str, str], count: int = 0, rate: float = 0.0, timeout_s: float = 60) -> Client:
    client = Client(Job(address, "/predict", "raw", labels, count, rate, 1.0, timeout_s))
    client.run()
    return client


def test_images_are_sent_one_after_another_and_each_latency_is_recorded(labels: dict[str, str]) -> None:
    with server((0.02, CAT)) as address:
        client = run(address, labels, 7)
    assert len(client.latencies_ms) == 7
    assert min(client.latencies_ms) >= 20
    assert not client.errors


def test_wrong_labels_other_statuses_and_lost_connections_are_errors(labels: dict[str, str]) -> None:
    refused = answer(b"{}", "503 No")
    with server((0, CAT), (0, DOG), (0, refused), (0, answer(b"{}")), (0, b"")) as address:
        client = run(address, labels, 5)
    assert len(client.latencies_ms) == 1
    lost = "RemoteDisconnected"
    assert client.errors == {"found dog, needed cat": 1, "503": 1, "found no label, needed cat": 1, lost: 1}


def test_a_server_that_closes_after_each_answer_causes_no_errors(labels: dict[str, str]) -> None:
    with server((0, answer(b'["cat"]', more="Connection: close\r\n"))) as address:
        client = run(address, labels, 5)
    assert len(client.latencies_ms) == 5


def test_a_missing_server_is_an_error_for_each_request(labels: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    assert run(address, labels, 3).errors == {"ConnectionRefusedError": 3}


def test_an_open_loop_counts_the_wait_caused_by_a_stall_of_the_server(labels: dict[str, str]) -> None:
    with server((0.4, CAT), *[(0.0, CAT)] * 999) as address:
        client = run(address, labels, rate=100)
    assert len(client.latencies_ms) == len(arrival_times(100, 1.0))
    late = [latency for latency in client.latencies_ms if latency > 100]
    assert len(late) > 10  # a closed loop would see only one: all requests due during the stall waited too
    assert max(client.latencies_ms) >= 399


def test_an_unanswered_request_is_an_error(labels: dict[str, str]) -> None:
    with server((30, CAT)) as address:
        client = run(address, labels, rate=5, timeout_s=0.2)
    assert client.errors == {"TimeoutError": len(arrival_times(5, 1.0))}


def test_arrival_times_are_reproducible_and_have_the_requested_rate() -> None:
    moments = arrival_times(100, 50)
    assert moments == arrival_times(100, 50) == sorted(moments)
    assert 0 < moments[0] < moments[-1] < 50
    assert len(moments) == pytest.approx(5000, rel=0.05)
    assert arrival_times(0, 50) == []

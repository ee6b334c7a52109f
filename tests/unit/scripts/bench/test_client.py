"""The requests of the benchmark and the client of open loops, with real servers on this machine."""

import contextlib
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from werkzeug.formparser import parse_form_data

from scripts.bench import client
from scripts.bench.client import arrival_times, encode, first_label, percentile, post

IMAGE = b"\xff\xd8\xff\r\n--not the end\x00" * 2000


def answer(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


CAT, DOG = (answer(json.dumps([{"label": label}]).encode()) for label in ("cat", "dog"))


def test_a_raw_request_is_the_image() -> None:
    assert encode("raw", IMAGE) == ("image/jpeg", IMAGE)


@pytest.mark.parametrize(("encoding", "field"), [("multipart", "image"), ("multipart:images", "images")])
def test_another_parser_reads_a_multipart_request_as_one_file(encoding: str, field: str) -> None:
    content_type, body = encode(encoding, IMAGE)
    environ = {"wsgi.input": io.BytesIO(body), "CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body))}
    _, form, files = parse_form_data(environ | {"REQUEST_METHOD": "POST"})
    assert not form
    assert list(files) == [field]
    assert files[field].read() == IMAGE


def test_a_json_request_has_base64_under_the_key_of_its_encoding() -> None:
    content_type, body = encode("json:image_data", b"abc")
    assert content_type == "application/json"
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


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (CAT, ""),
        (answer(b'["cat"]', more="Connection: close\r\n"), ""),
        (DOG, "found dog, needed cat"),
        (answer(b"{}"), "found no label, needed cat"),
        (answer(b"{}", "503 No"), "503"),
        (b"", "RemoteDisconnected"),
    ],
)
def test_only_an_answer_with_the_expected_label_is_right(response: bytes, fault: str) -> None:
    with server((0, response)) as address:
        assert post(address, "/predict", *encode("raw", IMAGE), "cat", 60) == fault


def test_a_missing_server_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    assert post(address, "/predict", "image/jpeg", IMAGE, "cat", 60) == "ConnectionRefusedError"


def run(address: str, labels: dict[str, str], rate: float, timeout_s: float = 60) -> dict[str, Any]:
    return client.run(address, "/predict", "raw", labels, rate, 1.0, timeout_s)


def test_an_open_loop_counts_the_wait_caused_by_a_stall_of_the_server(labels: dict[str, str]) -> None:
    with server((0.4, CAT), *[(0.0, CAT)] * 999) as address:
        outcome = run(address, labels, rate=20)
    assert outcome["answers"] == len(arrival_times(20, 1.0))
    assert outcome["errors"] == {}
    assert outcome["p99_ms"] >= 399


def test_an_unanswered_request_is_an_error(labels: dict[str, str]) -> None:
    with server((30, CAT)) as address:
        outcome = run(address, labels, rate=5, timeout_s=0.2)
    assert outcome["errors"] == {"TimeoutError": len(arrival_times(5, 1.0))}


def test_arrival_times_are_reproducible_and_have_the_requested_rate() -> None:
    moments = arrival_times(100, 50)
    assert moments == arrival_times(100, 50) == sorted(moments)
    assert 0 < moments[0] < moments[-1] < 50
    assert len(moments) == pytest.approx(5000, rel=0.05)


def test_percentiles_are_nearest_rank() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile([7.0], 0.99) == 7
    assert percentile([1.0, 2.0], 0.5) == 1
    assert percentile([], 0.5) == 0

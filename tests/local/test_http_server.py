"""The worker's HTTP server: whole answers, and the same one for every client of `POST /predict`."""

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import folders, images
from tests.local.worker_harness import FAINT, RED, WorkerProcess, later, running
from tests.wait import TIMEOUT_S, until

READ = 1 << 20
FORM = 'multipart/form-data; boundary="edge"; charset=utf-8'
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@contextmanager
def connected(worker: WorkerProcess) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", worker.port), timeout=TIMEOUT_S) as connection:
        yield connection


def head(body: bytes, *more: str, path: str = "/predict", kind: str = "image/png") -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: w", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more)
    return "\r\n".join((*lines, "", "")).encode("latin-1")


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


def in_form(*files: bytes) -> bytes:
    part = 'Content-Disposition: form-data; name="image"; filename="一.png"\r\nContent-Type: image/png\r\n\r\n'
    return b"".join(b"--edge\r\n" + part.encode() + file + b"\r\n" for file in files) + b"--edge--\r\n"


@pytest.mark.parametrize(
    "path", ["/predict", "/predict?top_k=3", "/predict?heat_map=true", "/models/bright", "/v2/models/bright/infer"]
)
def test_an_answer_leaves_in_one_write(worker: WorkerProcess, path: str) -> None:
    with connected(worker) as connection:
        for _ in range(20):
            ask(connection, head(RED, path=path) + RED)


def test_requests_sent_one_behind_the_other_are_all_answered(worker: WorkerProcess) -> None:
    probe, found = b"GET /livez HTTP/1.1\r\nHost: w\r\n\r\n", b""
    with connected(worker) as connection:
        connection.sendall(probe * 2 + head(RED) + RED + probe)
        while found.count(b"HTTP/1.1 200 OK") < 4:
            found += (data := connection.recv(READ))
            assert data, found


BODIES = {
    "an image": (RED, "image/png", 200),
    "an image in a form": (in_form(RED), FORM, 200),
    "two images in a form": (in_form(RED, RED), FORM, 200),
    "an image in JSON": (json.dumps({"inputs": base64.b64encode(RED).decode()}).encode(), "application/json", 200),
    "no image": (b"not an image", "image/png", 415),
    "half an image": (RED[: len(RED) // 2], "image/png", 422),
    "no image in a form": (in_form(b"not an image"), FORM, 415),
    "an empty file in a form": (in_form(b""), FORM, 400),
    "an empty form": (in_form(), FORM, 400),
    "a text": (b"<a/>", "application/xml", 415),
}
CLIENTS = {
    "curl": ("User-Agent: curl/8.5.0", "Accept: */*", "Expect: 100-continue"),
    "a browser": (
        "Connection: keep-alive", "Origin: http://w", "Referer: http://w/", "Cookie: a=b", "Sec-Fetch-Mode: cors",
        "Accept: text/html,application/xhtml+xml", "Accept-Language: zh-CN,zh;q=0.9", "Priority: u=1, i",
    ),
    "a traced one": ("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "baggage: a=1"),
    "a proxy": ("X-Forwarded-For: 10.0.0.7, 10.0.0.8", "X-Forwarded-Proto: https", "Forwarded: for=10.0.0.7", "Via: a"),
    "one with a key": ("Authorization: Bearer a", "Content-Encoding: identity", "User-Agent: \xe9"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "status"), BODIES.values(), ids=BODIES)
def test_every_client_gets_the_same_answer(worker: WorkerProcess, body: bytes, kind: str, status: int) -> None:
    def answered(*more: str) -> tuple[str, dict[str, str], dict[str, Any]]:
        with connected(worker) as connection:
            connection.sendall(head(body, "X-Request-ID: same", *more, kind=kind) + body)
            data = connection.recv(READ)
            if data == CONTINUE:
                data = connection.recv(READ)
        line, headers, found = answer(data.removeprefix(CONTINUE))
        for result in (found, *found.get("results", [])):
            result.pop("timing_ms", None)
        return line, {name: headers[name] for name in headers.keys() - {"date", "content-length"}}, found

    line, headers, found = plain = answered()
    assert int(line.split()[1]) == status
    assert (headers["x-request-id"], headers["content-type"]) == ("same", "application/json")
    assert found.get("request_id", found.get("error", {}).get("request_id")) == "same"
    for name, more in CLIENTS.items():
        assert answered(*more) == plain, name


@pytest.mark.parametrize("path", ["//predict", "http://w/predict", "/%70redict"])
def test_every_spelling_of_the_path_is_the_route(worker: WorkerProcess, path: str) -> None:
    with connected(worker) as connection:
        line, _, found = ask(connection, head(RED, path=path) + RED)
    assert (line, found["predictions"][0]["label_en"]) == ("HTTP/1.1 200 OK", "cat")


def test_other_methods_are_told_which_there_is(worker: WorkerProcess) -> None:
    for method in ("GET", "PUT", "DELETE"):
        reply = worker.ask(method, "/predict")
        assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
        assert reply.header("Allow") == "OPTIONS, POST"
    allowed = worker.ask("OPTIONS", "/predict").header("Allow") or ""
    assert set(allowed.split(", ")) == {"OPTIONS", "POST"}
    assert worker.ask("POST", "/predict/", RED).status == 404


def test_a_chunked_body_is_read_whole(worker: WorkerProcess) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (RED[:7], RED[7:])) + b"0\r\n\r\n"
    start = head(RED).replace(f"Content-Length: {len(RED)}".encode(), b"Transfer-Encoding: chunked")
    with connected(worker) as connection:
        for _ in range(2):
            assert ask(connection, start + chunks[:20], chunks[20:])[0] == "HTTP/1.1 200 OK"


def test_a_full_queue_refuses_and_says_when_to_come_again(made: Path, tmp_path: Path) -> None:
    with running(made / "slow", tmp_path / "log", QUEUE=1, MAX_IMAGES=1) as process:
        first = later(process, FAINT)
        with connected(process) as connection:
            line, headers, found = ask(connection, head(RED) + RED)
        assert (line, headers["retry-after"]) == ("HTTP/1.1 429 Too Many Requests", "1")
        assert found["error"]["code"] == "queue_full"
        assert first.result().status == 200


def test_all_are_counted_and_logged_alike(worker: WorkerProcess) -> None:
    counted = 'wanwu_requests_total{route="/predict",status="200"}'
    before = worker.metric(counted), worker.metric("wanwu_decode_seconds_count")
    names = [name.replace(" ", "-") for name in CLIENTS]
    with connected(worker) as connection:
        for name, more in zip(names[1:], list(CLIENTS.values())[1:], strict=True):
            ask(connection, head(RED, f"X-Request-ID: {name}", *more) + RED)
    count = len(names) - 1
    after = worker.metric(counted), worker.metric("wanwu_decode_seconds_count")
    assert after == (before[0] + count, before[1] + count)
    lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
    logged = [line for line in lines if line.get("request_id") in names]
    assert [(line["method"], line["path"], line["status"]) for line in logged] == [("POST", "/predict", 200)] * count


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


@pytest.mark.parametrize("path", ["/predict", "/models/bright"])
def test_a_client_that_leaves_before_the_end_of_its_image_disturbs_nobody(worker: WorkerProcess, path: str) -> None:
    gone = worker.metric('wanwu_rejected_total{reason="client_gone"}')
    for _ in range(20):
        with connected(worker) as connection:
            connection.sendall(head(RED, path=path) + RED[:10])
    until("all are given up", lambda: worker.metric('wanwu_rejected_total{reason="client_gone"}') == gone + 20)
    with connected(worker) as connection:
        assert ask(connection, head(RED, path=path) + RED)[0] == "HTTP/1.1 200 OK"
    assert worker.metric("wanwu_in_flight_images") == 0
    assert "Traceback" not in worker.log.read_text()


def test_while_it_ends_it_answers_once_more_and_says_that_it_closes(made: Path, tmp_path: Path) -> None:
    slow = running(made / "slow", tmp_path / "log")
    with slow as process, connected(process) as connection:
        ask(connection, head(RED) + RED)
        held = later(process, FAINT)
        process.process.terminate()
        process.wait_until("draining")
        assert ask(connection, head(RED) + RED)[0] == "HTTP/1.1 200 OK"
        assert held.result().status == 200
        assert process.process.wait(TIMEOUT_S) == 0
        assert connection.recv(READ) == b""

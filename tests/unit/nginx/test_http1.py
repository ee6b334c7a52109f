"""Answers as workers, broken workers and other servers write them."""

import pytest

from nginx.gate.connection import render_request
from nginx.gate.http1 import HEAD_LIMIT, Answer, AnswerError, parse_answer

LIMIT = 1000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
LENGTH = HEAD + b"Content-Length: 5\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def parsed(data: bytes, ended: bool = False) -> Answer | None:
    return parse_answer(bytearray(data), ended, LIMIT)


@pytest.mark.parametrize(
    ("data", "ended", "reusable"),
    [
        (LENGTH + b"hello", False, True),
        (LENGTH + b"hello", True, False),
        (LENGTH + b"hello and more", False, False),
        (LENGTH.replace(b"1.1", b"1.0") + b"hello", False, False),
        (LENGTH.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n") + b"hello", False, False),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", False, True),
        (CHUNKED + b"2;a=b\r\nhe\r\n03\r\nllo\r\n0\r\nTrailer: x\r\n\r\n", False, True),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200", False, False),
        (HEAD + b"\r\nhello", True, False),
    ],
)
def test_an_answer_is_read_in_each_of_its_forms(data: bytes, ended: bool, reusable: bool) -> None:
    answer = parsed(data, ended)
    assert answer
    assert (answer.status, answer.body, answer.reusable) == (200, b"hello", reusable)
    assert answer.headers["content-type"] == "text/plain"


@pytest.mark.parametrize("data", [LENGTH + b"hello", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"])
def test_part_of_an_answer_is_none_yet_and_a_fault_at_the_end(data: bytes) -> None:
    for length in range(len(data)):
        assert parsed(data[:length]) is None
        with pytest.raises(AnswerError):
            parsed(data[:length], ended=True)


@pytest.mark.parametrize(
    "head", [HEAD + b"\r\n", HEAD + b"Content-Length: 99999999999\r\n\r\n", CHUNKED + b"fffffff\r\n"]
)
def test_a_body_without_an_end_is_cut_and_its_connection_not_kept(head: bytes) -> None:
    answer = parsed(head + b"x" * 2 * LIMIT)
    assert answer
    assert (len(answer.body), answer.reusable) == (LIMIT, False)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\x16\x03\x01\r\n\r\n", "it answered without an HTTP status"),
        (b"HTTP/1.1 2OO\r\n\r\n", "it answered without an HTTP status"),
        (b"HTTP/2 200\r\n\r\n", "it answered without an HTTP status"),
        (HEAD + b"Content-Length: -1\r\n\r\n", "found Content-Length '-1', needed a number"),
        (HEAD + b"Content-Length: 1e3\r\n\r\n", "found Content-Length '1e3', needed a number"),
        (CHUNKED + b"-5\r\nhello", "it sent a chunk without a length"),
        (HEAD + b"A: b\nC: d\r\n\r\n", "it sent a header with a line feed"),
        (HEAD + b"x" * HEAD_LIMIT, "it sent more than 64 KB of headers"),
    ],
)
def test_bytes_that_are_no_answer_are_a_fault(data: bytes, fault: str) -> None:
    with pytest.raises(AnswerError) as caught:
        parsed(data)
    assert str(caught.value) == fault


def test_a_peer_that_sends_nothing_hung_up() -> None:
    with pytest.raises(AnswerError, match="it hung up"):
        parsed(b"", ended=True)


def test_a_request_names_its_host_and_the_length_of_its_body() -> None:
    assert render_request("GET", "/readyz", "a:1") == b"GET /readyz HTTP/1.1\r\nHost: a:1\r\n\r\n"
    assert render_request("POST", "/x", "a:1", b"body", {"Content-Type": "image/png"}) == (
        b"POST /x HTTP/1.1\r\nHost: a:1\r\nContent-Type: image/png\r\nContent-Length: 4\r\n\r\nbody"
    )

"""Which requests take the short way."""

import pytest

from worker.limits import MAX_BODY_BYTES
from worker.plain import Plain, parse

HOST = "Host: wanwu:8080"
TYPE, LENGTH = "Content-Type: image/jpeg", "Content-Length: 5"


def request(*headers: str, line: str = "POST /predict HTTP/1.1", body: bytes = b"12345") -> bytes:
    return "\r\n".join((line, *headers, "", "")).encode("latin-1") + body


def test_a_picture_alone_is_plain() -> None:
    data = request(HOST, "User-Agent: curl/8.0", "Accept: */*", TYPE, LENGTH)
    assert parse(data) == Plain(len(data) - 5, 5, "")


def test_as_nginx_passes_it_on_it_is_plain_and_keeps_its_id() -> None:
    data = request(
        HOST, "X-Request-ID: r-1", "X-Forwarded-For: 10.0.0.7", "X-Forwarded-Proto: https", "content-length:5", TYPE
    )
    assert parse(data) == Plain(len(data) - 5, 5, "r-1")


@pytest.mark.parametrize("kind", ["image/png", "image/svg+xml", "application/octet-stream"])
@pytest.mark.parametrize("there", [b"", b"1234", b"12345"], ids=len)
def test_its_body_may_still_be_on_its_way(kind: str, there: bytes) -> None:
    data = request(f"Content-Type: {kind}", LENGTH, body=there)
    assert parse(data) == Plain(len(data) - len(there), 5, "")


OTHERS = {
    "another route": request(TYPE, LENGTH, line="POST /models/demo HTTP/1.1"),
    "a query": request(TYPE, LENGTH, line="POST /predict?top_k=1 HTTP/1.1"),
    "another method": request(TYPE, LENGTH, line="PUT /predict HTTP/1.1"),
    "an older protocol": request(TYPE, LENGTH, line="POST /predict HTTP/1.0"),
    "no headers": request(),
    "no length": request(TYPE),
    "no type": request(LENGTH),
    "an empty body": request(TYPE, "Content-Length: 0", body=b""),
    "a length that is none": request(TYPE, "Content-Length: five"),
    "a signed length": request(TYPE, "Content-Length: +5"),
    "two lengths": request(TYPE, LENGTH, "Content-Length: 6"),
    "the same length twice": request(TYPE, LENGTH, LENGTH),
    "more than the body": request(TYPE, LENGTH, body=b"12345POST"),
    "a body that is too large": request(TYPE, f"Content-Length: {MAX_BODY_BYTES + 1}"),
    "chunks": request(TYPE, LENGTH, "Transfer-Encoding: chunked"),
    "a form": request("Content-Type: multipart/form-data; boundary=x", LENGTH),
    "a type with parameters": request("Content-Type: image/jpeg; q=1", LENGTH),
    "two types": request(TYPE, "Content-Type: image/png", LENGTH),
    "two ids": request(TYPE, LENGTH, "X-Request-ID: a", "X-Request-ID: b"),
    "a question before the body": request(TYPE, LENGTH, "Expect: 100-continue", body=b""),
    "a wish for the connection": request(TYPE, LENGTH, "Connection: close"),
    "another scheme": request(TYPE, LENGTH, "X-Forwarded-Ssl: on"),
    "a header nobody knows": request(TYPE, LENGTH, "X-Mine: 1"),
    "a name with a space": request(TYPE, LENGTH, "Host : x"),
    "a name with an underscore": request(TYPE, LENGTH, "X_Request_ID: r"),
    "a folded header": request(TYPE, LENGTH, "Accept: a,\r\n b"),
    "a letter beyond ASCII": request(TYPE, LENGTH, "User-Agent: é"),
    "a bare line feed": request(TYPE, LENGTH).replace(b"\r\n", b"\n"),
    "a zero in a value": request(TYPE, LENGTH, "User-Agent: a\0b"),
    "half a head": request(TYPE, LENGTH, body=b"")[:-2],
    "nothing": b"",
}


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_all_others_are_left_to_the_long_way(data: bytes) -> None:
    assert parse(data) is None

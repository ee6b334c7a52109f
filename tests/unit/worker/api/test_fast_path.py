"""Which requests take the fast path."""

import pytest

from worker.api.fast_path import SimpleRequest, parse
from worker.contract.limits import MAX_BODY_BYTES

HOST = "Host: wanwu:8080"
TYPE, LENGTH = "Content-Type: image/jpeg", "Content-Length: 5"


def request(*headers: str, line: str = "POST /predict HTTP/1.1", body: bytes = b"12345") -> bytes:
    return "\r\n".join((line, *headers, "", "")).encode("latin-1") + body


def test_an_image_alone_is_simple() -> None:
    data = request(HOST, "User-Agent: curl/8.0", "Accept: */*", TYPE, LENGTH)
    assert parse(data) == SimpleRequest(len(data) - 5, 5, "")


def test_as_nginx_passes_it_on_it_is_simple_and_keeps_its_id() -> None:
    data = request(
        HOST, "X-Request-ID: r-1", "X-Forwarded-For: 10.0.0.7", "X-Forwarded-Proto: https", "content-length:5", TYPE
    )
    assert parse(data) == SimpleRequest(len(data) - 5, 5, "r-1")


@pytest.mark.parametrize("kind", ["image/png", "image/svg+xml", "application/octet-stream"])
@pytest.mark.parametrize("there", [b"", b"1234", b"12345"], ids=len)
def test_its_body_may_still_be_on_its_way(kind: str, there: bytes) -> None:
    data = request(f"Content-Type: {kind}", LENGTH, body=there)
    assert parse(data) == SimpleRequest(len(data) - len(there), 5, "")


FORM, EDGE = "Content-Type: multipart/form-data; boundary=x-1", b"--x-1"
FILE = b'Content-Disposition: form-data; name="image"; filename="a b.jpg"\r\n'


def form(*parts: bytes, end: bytes = EDGE + b"--\r\n") -> bytes:
    return b"".join(EDGE + b"\r\n" + part + b"\r\n" for part in parts) + end


@pytest.mark.parametrize("kind", [b"", b"Content-Type: image/jpeg\r\n"])
@pytest.mark.parametrize("image", [b"\xff\xd8 image", b"\r\n", b"--x-1", b"\r\n--x-"])
def test_one_file_in_a_form_is_simple(kind: bytes, image: bytes) -> None:
    body = form(FILE + kind + b"\r\n" + image)
    found = parse(request(FORM, f"Content-Length: {len(body)}", body=body))
    assert found
    assert (found.length, found.boundary) == (len(body), b"x-1")
    assert found.image(body) == image


OTHER_FORMS = {
    "two files": form(FILE + b"\r\none", FILE + b"\r\ntwo"),
    "a parameter beside it": form(FILE + b"\r\none", b'Content-Disposition: form-data; name="top_k"\r\n\r\n1'),
    "another field": form(FILE.replace(b"image", b"file") + b"\r\none"),
    "no file's name": form(b'Content-Disposition: form-data; name="image"\r\n\r\none'),
    "an empty name": form(FILE.replace(b"a b.jpg", b"") + b"\r\none"),
    "a name with quotes": form(FILE.replace(b"a b", b'a\\"b') + b"\r\none"),
    "a coded name": form(FILE.replace(b"filename=", b"filename*=") + b"\r\none"),
    "another header": form(FILE + b"Content-Transfer-Encoding: base64\r\n\r\none"),
    "an empty file": form(FILE + b"\r\n"),
    "no part": form(),
    "something before it": b"\r\n" + form(FILE + b"\r\none"),
    "something after it": form(FILE + b"\r\none") + b"more",
    "no end": form(FILE + b"\r\none", end=b""),
    "another boundary": form(FILE + b"\r\none").replace(EDGE, b"--y-1"),
}


@pytest.mark.parametrize("body", OTHER_FORMS.values(), ids=OTHER_FORMS)
def test_every_other_form_is_left_to_flask(body: bytes) -> None:
    found = parse(request(FORM, f"Content-Length: {len(body)}", body=body))
    assert found
    assert found.image(body) is None


OTHERS = {
    "another route": request(TYPE, LENGTH, line="POST /models/photos HTTP/1.1"),
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
    "a form without a boundary": request("Content-Type: multipart/form-data", LENGTH),
    "a form with a quoted boundary": request('Content-Type: multipart/form-data; boundary="x"', LENGTH),
    "other parts": request("Content-Type: multipart/mixed; boundary=x", LENGTH),
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
def test_all_others_are_left_to_flask(data: bytes) -> None:
    assert parse(data) is None

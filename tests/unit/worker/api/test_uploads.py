"""From a request's body to images and parameters."""

import base64
import json
from collections.abc import Mapping

import pytest
from flask import Flask, Request
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import encode_multipart_formdata
from werkzeug.exceptions import RequestEntityTooLarge

from tests.errors import code_of
from worker.api.uploads import InMemoryRequest, Upload, check_answer, decode_base64, query, read_upload
from worker.contract.errors import ErrorCode
from worker.contract.limits import MAX_BODY_BYTES

APP = Flask("test")
APP.request_class = InMemoryRequest
TWO = [("image", ("a.png", b"one")), ("image", ("猫.png", b"two"))]


def request(body: bytes, content_type: str | None, path: str = "/") -> Request:
    with APP.test_request_context(path, method="POST", data=body, content_type=content_type) as context:
        return context.request


def read(body: bytes, content_type: str | None, max_images: int = 3) -> Upload:
    return read_upload(request(body, content_type), max_images)


def read_json(body: object) -> Upload:
    return read(body if isinstance(body, bytes) else json.dumps(body).encode(), "application/json")


def refusal(body: bytes, content_type: str | None) -> ErrorCode:
    return code_of(read, body, content_type)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("content_type", ["image/png", "image/x-unheard-of", "application/octet-stream", None])
def test_a_raw_body_is_one_image(content_type: str | None) -> None:
    assert read(b"bytes", content_type) == Upload(((None, b"bytes"),), {})


def test_a_form_holds_images_with_their_names_and_parameters() -> None:
    body, content_type = encode_multipart_formdata([*TWO, ("top_k", "2")])
    assert read(body, content_type) == Upload((("a.png", b"one"), ("猫.png", b"two")), {"top_k": "2"})


@given(st.binary(max_size=60), st.booleans())
def test_json_carries_any_bytes_as_base64(data: bytes, as_url: bool) -> None:
    prefix = "data:image/png;base64," if as_url else ""
    upload = read_json({"inputs": prefix + base64_of(data), "parameters": {"top_k": 2}})
    assert upload == Upload(((None, data),), {"top_k": 2})


@pytest.mark.parametrize("parameters", [{}, {"parameters": None}, {"parameters": {}}])
def test_json_needs_no_parameters(parameters: Mapping[str, object]) -> None:
    assert read_json({"inputs": "", **parameters}) == Upload(((None, b""),), {})


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", None),
        (b"", "image/png"),
        (b"{}", "application/json"),
        (b'{"inputs": null}', "application/json"),
        (b"", "multipart/form-data; boundary=x"),
        (b"no boundary was named", "multipart/form-data"),
        encode_multipart_formdata([("top_k", "2")], boundary="x"),
    ],
)
def test_a_request_without_an_image_is_refused(body: bytes, content_type: str | None) -> None:
    assert refusal(body, content_type) is ErrorCode.NO_IMAGE


def test_too_many_images_are_refused() -> None:
    body, content_type = encode_multipart_formdata(TWO * 2)
    assert refusal(body, content_type) is ErrorCode.TOO_MANY_IMAGES


def test_a_file_in_another_field_is_refused() -> None:
    body, content_type = encode_multipart_formdata([*TWO, ("file", ("a.png", b"one"))])
    assert refusal(body, content_type) is ErrorCode.BAD_REQUEST


def test_a_field_given_twice_is_refused() -> None:
    body, content_type = encode_multipart_formdata([*TWO, ("top_k", "2"), ("top_k", "3")])
    assert refusal(body, content_type) is ErrorCode.BAD_PARAMETER


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/xml"])
def test_another_content_type_is_refused(content_type: str) -> None:
    assert refusal(b"image=x", content_type) is ErrorCode.UNSUPPORTED_TYPE


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b"null",
        b"{",
        b"",
        b"\xff",
        b"[" * 200_000,
        b'{"top_k": ' + b"9" * 5000 + b"}",
        b'{"image": "", "a": 1}',
        rb'{"\ud800": 1}',
        b'{"inputs": "", "parameters": []}',
        b'{"inputs": "", "parameters": 0}',
        b'{"inputs": ["aaaa"]}',
        b'{"inputs": 3}',
        b'{"inputs": "aGk"}',
        b'{"inputs": "a*k="}',
    ],
)
def test_json_that_is_not_the_contracts_is_refused(body: bytes) -> None:
    assert refusal(body, "application/json") is ErrorCode.BAD_REQUEST


def test_an_answer_of_too_many_classes_is_refused_before_the_inference() -> None:
    check_answer(10, 100, 1000)
    assert code_of(check_answer, 10, 101, 1000) is ErrorCode.TOO_MANY_IMAGES


def test_base64_of_other_letters_is_refused() -> None:
    assert code_of(decode_base64, "猫") is ErrorCode.BAD_REQUEST


def test_a_body_of_more_than_the_limit_is_not_read() -> None:
    with pytest.raises(RequestEntityTooLarge):
        read(bytes(MAX_BODY_BYTES + 1), "image/png")
    assert len(read(bytes(MAX_BODY_BYTES), "image/png").images[0][1]) == MAX_BODY_BYTES


def test_a_query_is_read_and_a_parameter_twice_refused() -> None:
    assert query(request(b"", None, "/?top_k=2&labels=zh")) == {"top_k": "2", "labels": "zh"}
    assert code_of(query, request(b"", None, "/?top_k=2&top_k=2")) is ErrorCode.BAD_PARAMETER

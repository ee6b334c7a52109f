"""The Open Inference Protocol's bytes, held against tritonclient's own serialiser."""

import base64
import json
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from tests.errors import code_of
from worker.api.routes.tensors import InferRequest, Output, encode_answer, read_request
from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.limits import MAX_IDENTIFIER_CHARACTERS

IMAGES = st.lists(st.binary(max_size=40), min_size=1, max_size=5)


def tritons(images: list[bytes], binary: bool, outputs: list[Any] | None = None, name: str = "") -> InferRequest:
    """What is read from the request that tritonclient would send."""
    tensor = triton.InferInput("image", [len(images)], "BYTES")
    texts = images if binary else [base64.b64encode(one) for one in images]
    tensor.set_data_from_numpy(np.array(texts, dtype=object), binary_data=binary)
    body, length = triton.InferenceServerClient.generate_request_body([tensor], outputs=outputs, request_id=name)
    text = body if isinstance(body, bytes) else body.encode()
    return read_request(text, None if length is None else str(length), 5)


def refusal(body: object, raw: bytes = b"", header_length: object = None) -> ErrorCode:
    head = body if isinstance(body, bytes) else json.dumps(body).encode()
    length = header_length if header_length is not None else (len(head) if raw else None)
    return code_of(read_request, head + raw, None if length is None else str(length), max_images=3)


def inputs(**changed: object) -> dict[str, object]:
    tensor: dict[str, object] = {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["aGk="]} | changed
    return {"inputs": [{key: value for key, value in tensor.items() if value is not None}]}


def binary(size: object, **changed: object) -> dict[str, object]:
    return inputs(data=None, parameters={"binary_data_size": size}, **changed)


# Requests


@settings(deadline=None)
@given(IMAGES, st.booleans())
def test_what_tritonclient_sends_is_read_back(images: list[bytes], as_binary: bool) -> None:
    found = tritons(images, as_binary, name="r1")
    # Without named outputs the client asks for binary ones by a parameter of the whole request.
    assert found == InferRequest(tuple(images), Output(True, 0), "r1")


@pytest.mark.parametrize(("binary_data", "classes"), [(True, 0), (False, 0), (True, 3), (False, 3)])
def test_the_requested_output_is_read(binary_data: bool, classes: int) -> None:
    output = triton.InferRequestedOutput("scores", binary_data=binary_data, class_count=classes)
    found = tritons([b"x"], True, [output])
    assert found.output == Output(binary_data, classes)


def test_an_output_is_requested_once() -> None:
    assert refusal(inputs() | {"outputs": [{"name": "scores"}] * 2}) is ErrorCode.BAD_REQUEST


def test_plain_json_asks_for_a_json_answer() -> None:
    found = read_request(json.dumps(inputs()).encode(), None, max_images=1)
    assert found == InferRequest((b"hi",), Output(False, 0), "")


def test_a_shape_of_one_column_is_taken() -> None:
    assert read_request(json.dumps(inputs(shape=[1, 1])).encode(), None, 1).images == (b"hi",)


@pytest.mark.parametrize("data", [["aGk=", "aG8="], [["aGk="], ["aG8="]]])
def test_data_are_flat_or_nested_as_their_shape(data: object) -> None:
    assert read_request(json.dumps(inputs(shape=[2, 1], data=data)).encode(), None, 2).images == (b"hi", b"ho")


SHORT = b"\5\0\0\0hi"
ONE = b"\2\0\0\0hi"


@pytest.mark.parametrize(
    ("head", "raw"),
    [
        ([], b""),
        ({}, b""),
        ({"inputs": []}, b""),
        ({"inputs": [1]}, b""),
        ({"inputs": [{}, {}]}, b""),
        (inputs(name="x"), b""),
        (inputs(datatype="FP32"), b""),
        (inputs(shape=[2]), b""),
        (inputs(shape=None), b""),
        (inputs(shape=[]), b""),
        (inputs(shape=[-1]), b""),
        (inputs(shape=[1, 2]), b""),
        (inputs(data=["aGk="] * 2), b""),
        (inputs(data="aGk="), b""),
        (inputs(data=None), b""),
        (inputs(data=[1]), b""),
        (inputs(data=[["aGk="]]), b""),
        (inputs(data=[[["aGk="]]], shape=[1, 1]), b""),
        (inputs(data=[["aGk=", "aGk="]], shape=[2, 1]), b""),
        (inputs(data=["aGk=", ["aGk="]], shape=[2, 1]), b""),
        (inputs(data=[["aGk="]] * 2, shape=[1, 1]), b""),
        (inputs(data=["aGkab"]), b""),
        (inputs(parameters=3), b""),
        (binary(7), ONE),
        (binary("6"), ONE),
        (binary(3), b"\1\0\0"),
        (binary(6), SHORT),
        (binary(6, shape=[2]), ONE),
        (binary(12), ONE * 2),
        (inputs() | {"id": 3}, b""),
        (inputs() | {"id": "i" * (MAX_IDENTIFIER_CHARACTERS + 1)}, b""),
        (inputs() | {"id": "\ud800"}, b""),
        (inputs() | {"outputs": []}, b""),
        (inputs() | {"outputs": ["scores"]}, b""),
        (inputs() | {"outputs": [{"name": "x"}]}, b""),
        (inputs() | {"outputs": [{}]}, b""),
    ],
)
def test_a_request_that_is_not_the_protocols_is_refused(head: object, raw: bytes) -> None:
    assert refusal(head, raw) is ErrorCode.BAD_REQUEST


def test_a_request_holds_one_image_at_least_and_no_more_than_fit() -> None:
    assert refusal(inputs(data=[], shape=[0])) is ErrorCode.NO_IMAGE
    assert refusal(inputs(data=["aGk="] * 4, shape=[4])) is ErrorCode.TOO_MANY_IMAGES
    assert refusal(inputs(data=["no base64"] * 4, shape=[4])) is ErrorCode.TOO_MANY_IMAGES
    assert refusal(binary(4 * len(ONE), shape=[4]), ONE * 4) is ErrorCode.TOO_MANY_IMAGES


@pytest.mark.parametrize("classification", [-1, True, 1.5, "3", None])
def test_classification_is_a_number_of_classes(classification: object) -> None:
    wanted = [{"name": "scores", "parameters": {"classification": classification}}]
    assert refusal(inputs() | {"outputs": wanted}) is ErrorCode.BAD_PARAMETER


@pytest.mark.parametrize("length", ["-1", "7", "x", "", "1.5", "\u0663", "9" * 5000])
def test_the_headers_length_is_a_number_within_the_body(length: str) -> None:
    assert refusal(b"123456", header_length=length) is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 200_000])
def test_a_header_that_is_no_json_is_refused(body: bytes) -> None:
    assert refusal(body) is ErrorCode.BAD_REQUEST


@given(st.binary(max_size=40), st.integers(0, 60))
def test_any_binary_tensor_is_read_or_refused(raw: bytes, size: int) -> None:
    head = json.dumps(binary(size)).encode()
    try:
        found = read_request(head + raw, str(len(head)), max_images=3)
    except ServiceError:
        return
    assert serialize_byte_tensor(np.array(found.images, dtype=object)).item() == raw


# Answers

SCORES = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)
TEXTS = np.array([["0.750000:1:狗 dog"], ["1.000000:0:猫 cat"]], dtype=object)


def encoded(output: Output, values: np.ndarray) -> tuple[dict[str, Any], bytes]:
    """Return the output in the answer's JSON, and the bytes after it."""
    body, length = encode_answer({"id": "r1"}, output, values)
    assert (length is not None) is output.binary
    answer = json.loads(body[:length])
    assert answer["id"] == "r1"
    (described,) = answer["outputs"]
    return described, body[length:] if length else b""


def test_scores_and_texts_are_what_tritonclient_reads() -> None:
    scores, raw = encoded(Output(True, 0), SCORES)
    assert scores == {
        "name": "scores", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": len(raw)}
    }  # fmt: skip
    assert np.array_equal(np.frombuffer(raw, "<f4").reshape(2, 2), SCORES)
    texts, raw = encoded(Output(True, 1), TEXTS)
    assert texts == {
        "name": "scores", "datatype": "BYTES", "shape": [2, 1], "parameters": {"binary_data_size": len(raw)}
    }  # fmt: skip
    assert [text.decode() for text in deserialize_bytes_tensor(raw)] == TEXTS.ravel().tolist()


def test_a_json_answer_holds_the_values_in_row_order() -> None:
    assert encoded(Output(False, 0), SCORES) == (
        {"name": "scores", "datatype": "FP32", "shape": [2, 2], "data": [0.25, 0.75, 1.0, 0.0]}, b""
    )  # fmt: skip
    texts, raw = encoded(Output(False, 1), TEXTS)
    assert texts == {"name": "scores", "datatype": "BYTES", "shape": [2, 1], "data": TEXTS.ravel().tolist()}
    assert raw == b""

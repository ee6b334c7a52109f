"""Parse and encode the Open Inference Protocol's bodies: JSON, and the binary tensors that may follow it.

Format: the protocol's "binary tensor data" extension. A body is JSON, followed by the raw tensors in the order in
which the JSON lists them; the header HEADER_LENGTH gives the length of the JSON in bytes. A BYTES element is a
little-endian uint32 length and that many bytes; FP32 is little-endian.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np

from worker.api import json_text
from worker.api.base64_text import decode_base64
from worker.api.uploads import check_count
from worker.contract.errors import ErrorCode, ServiceError, cut, quoted
from worker.contract.limits import MAX_IDENTIFIER_CHARACTERS

HEADER_LENGTH = "Inference-Header-Content-Length"
INPUT, OUTPUT = "image", "scores"
LENGTH = struct.Struct("<I")


class InputParameters(msgspec.Struct, frozen=True):
    """The parameters of an input; the protocol allows others, which are ignored."""

    binary_data_size: int | None = None


class Tensor(msgspec.Struct, frozen=True):
    """An input: its elements are base64 in `data`, or follow the JSON in `binary_data_size` bytes.

    As the protocol says, `data` may be flat, or nested as the shape is.
    """

    name: str
    datatype: str
    shape: list[int]
    data: list[str | list[str]] | None = None
    parameters: InputParameters = InputParameters()


class OutputParameters(msgspec.Struct, frozen=True):
    """The parameters of a requested output."""

    binary_data: bool | None = None
    classification: Any = 0


class RequestedOutput(msgspec.Struct, frozen=True):
    """An output that a request names."""

    name: str
    parameters: OutputParameters = OutputParameters()


class RequestParameters(msgspec.Struct, frozen=True):
    """The parameters of a whole request."""

    binary_data_output: bool = False


class InferenceHeader(msgspec.Struct, frozen=True):
    """The JSON of an inference request; unknown keys are ignored, as the protocol demands."""

    inputs: tuple[Tensor]
    id: Annotated[str, msgspec.Meta(max_length=MAX_IDENTIFIER_CHARACTERS)] = ""
    outputs: list[RequestedOutput] | None = None
    parameters: RequestParameters = RequestParameters()


INFERENCE_HEADER = msgspec.json.Decoder(InferenceHeader)


@dataclass(frozen=True)
class Output:
    """A requested output, as raw bytes or JSON: the best `classification` classes as text, or all scores if it is 0."""

    binary: bool
    classification: int


@dataclass(frozen=True)
class InferRequest:
    """The encoded images of a request, its requested output, and its identifier ("" if it has none)."""

    images: tuple[bytes, ...]
    output: Output
    identifier: str


def read_request(body: bytes, header_length: str | None, max_images: int) -> InferRequest:
    """Parse an inference request, whose JSON ends after `header_length` bytes if that is set.

    Raise ServiceError if it violates the protocol or exceeds `max_images`.
    """
    end = _end_of_header(header_length, len(body))
    head = json_text.parse(body[:end], INFERENCE_HEADER, "an inference request with the one input `image`")
    return InferRequest(_images(head.inputs[0], memoryview(body)[end:], max_images), _output(head), head.id)


def encode_answer(head: dict[str, object], output: Output, values: np.ndarray) -> tuple[bytes, int | None]:
    """Return the answer's body, and the length of its JSON in bytes if a binary tensor follows it, else None."""
    raw = _raw(values) if output.binary else b""
    described = {
        "name": OUTPUT,
        "datatype": "BYTES" if values.dtype == object else "FP32",
        "shape": list(values.shape),
    } | ({"parameters": {"binary_data_size": len(raw)}} if output.binary else {"data": values.ravel().tolist()})
    text = msgspec.json.encode(head | {"outputs": [described]})
    return text + raw, len(text) if output.binary else None


def _raw(values: np.ndarray) -> bytes:
    if values.dtype != object:
        return values.astype("<f4").tobytes()
    return b"".join(LENGTH.pack(len(text)) + text for text in (value.encode() for value in values.ravel()))


def _end_of_header(length: str | None, body_length: int) -> int:
    if length is None:
        return body_length
    if not re.fullmatch(r"[0-9]{1,18}", length) or int(length) > body_length:
        raise _bad_request(
            f"found {HEADER_LENGTH} {quoted(length)}, needed a number up to the body's {body_length} bytes: correct it"
        )
    return int(length)


def _images(tensor: Tensor, raw: memoryview, max_images: int) -> tuple[bytes, ...]:
    """Return the elements of `tensor`; their number is checked before one is decoded."""
    if (tensor.name, tensor.datatype) != (INPUT, "BYTES"):
        found = f"`{cut(tensor.name)}` of {cut(tensor.datatype)}"
        raise _bad_request(f"found the input {found}, needed `{INPUT}` of BYTES: correct it")
    count = tensor.shape[0] if tensor.shape else 0
    if count < 0 or tensor.shape not in ([count], [count, 1]):
        raise _bad_request(f"found shape {quoted(tensor.shape)}, needed the number of images, as [N]: correct it")
    if count == 0:
        raise ServiceError(ErrorCode.NO_IMAGE, f"found no image, needed at least one: put it into `{INPUT}`")
    check_count(count, max_images)
    if tensor.parameters.binary_data_size is not None:
        return _binary_elements(tensor.parameters.binary_data_size, raw, count)
    if tensor.data is None:
        raise _bad_request(
            "found an input without `data`, needed a list of base64 strings or binary tensor data: send one of them"
        )
    data = _flat(tensor.data, tensor.shape)
    if len(data) != count:
        raise _bad_request(f"found shape [{count}] of {len(data)} images, needed it to count them: correct it")
    return tuple(decode_base64(text) for text in data)


def _flat(data: Sequence[str | list[str]], shape: Sequence[int]) -> list[str]:
    """Return the elements of `data`; raise ServiceError BAD_REQUEST if they are nested otherwise than `shape` says."""
    rows = [row for row in data if isinstance(row, list)]
    if not rows:
        return [text for text in data if isinstance(text, str)]
    if len(shape) == 1 or len(rows) < len(data) or any(len(row) != 1 for row in rows):
        raise _bad_request(
            f"found `data` nested otherwise than its shape {quoted(shape)}, needed a list of base64 strings, or of "
            "lists of one each for the shape [N, 1]: correct it"
        )
    return [row[0] for row in rows]


def _binary_elements(size: int, raw: memoryview, count: int) -> tuple[bytes, ...]:
    """Return the `count` elements of the binary tensor `raw`, which the request says to have `size` bytes."""
    if size != len(raw):
        raise _bad_request(
            f"found binary_data_size {quoted(size)}, needed {len(raw)}, the bytes after the inference header: "
            "correct it"
        )
    found, position = [], 0
    for _ in range(count):
        if len(raw) - position < LENGTH.size:
            raise _bad_request(
                "found a binary tensor that ends before an element's length, needed the elements that its shape says: "
                "send all of it"
            )
        (length,) = LENGTH.unpack_from(raw, position)
        position += LENGTH.size + length
        if position > len(raw):
            raise _bad_request(
                f"found an element of {length} bytes, needed no more than the binary tensor holds: correct its length"
            )
        found.append(bytes(raw[position - length : position]))
    if position < len(raw):
        raise _bad_request(
            f"found {len(raw) - position} bytes after the last element of the shape, needed none: correct the shape"
        )
    return tuple(found)


def _output(head: InferenceHeader) -> Output:
    """Return the requested output, of which there is one; without a name, all scores."""
    binary, requested = head.parameters.binary_data_output, head.outputs
    if requested is None:
        return Output(binary, 0)
    if unknown := [output.name for output in requested if output.name != OUTPUT]:
        raise _bad_request(f"found output `{cut(unknown[0])}`, needed `{OUTPUT}`, the only one: correct its name")
    if len(requested) != 1:
        raise _bad_request(
            f"found output `{OUTPUT}` {len(requested)} times, needed it once: send a request for each form of it"
        )
    parameters = requested[0].parameters
    classification = parameters.classification
    if type(classification) is not int or classification < 0:
        raise ServiceError(
            ErrorCode.BAD_PARAMETER,
            f"found classification {quoted(classification)}, needed a whole number of classes: correct it",
        )
    return Output(binary if parameters.binary_data is None else parameters.binary_data, classification)


def _bad_request(message: str) -> ServiceError:
    return ServiceError(ErrorCode.BAD_REQUEST, message)

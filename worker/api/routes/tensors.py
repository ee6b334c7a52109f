"""Parse and encode the Open Inference Protocol's bodies: JSON, and the binary tensors that may follow it.

Format: the protocol's "binary tensor data" extension. A body is JSON, followed by the raw tensors in the order in
which the JSON lists them; the header HEADER_LENGTH gives the length of the JSON in bytes. A BYTES element is a
little-endian uint32 length and that many bytes; FP32 is little-endian.
"""

import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flask import Request

from worker.api.uploads import check_count, decode_base64, read_body
from worker.contract.errors import ErrorCode, ServiceError

HEADER_LENGTH = "Inference-Header-Content-Length"
INPUT, OUTPUT = "image", "scores"
LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Output:
    """A requested output, as raw bytes or JSON: the best `classification` classes as text, or all scores if it is 0."""

    binary: bool
    classification: int


@dataclass(frozen=True)
class InferRequest:
    """The encoded images of a request, its requested outputs, and its identifier ("" if it has none)."""

    images: tuple[bytes, ...]
    outputs: tuple[Output, ...]
    identifier: str


def read_request(request: Request, max_images: int) -> InferRequest:
    """Parse an inference request; raise ServiceError if it violates the protocol or exceeds `max_images`."""
    body = read_body(request)
    end = _header_length(request, len(body))
    try:
        head = json.loads(body[:end])
    except (ValueError, RecursionError) as error:
        raise _bad_request(
            f"found an inference header that is not valid JSON ({error}), needed JSON: correct it"
        ) from error
    if not isinstance(head, dict):
        raise _bad_request(f"found an inference header of type {type(head).__name__}, needed a JSON object: correct it")
    images = _images(head.get("inputs"), body[end:])
    check_count(len(images), max_images)
    identifier = head.get("id", "")
    if not isinstance(identifier, str):
        raise _bad_request(f"found id {identifier!r}, needed a string: correct it")
    return InferRequest(images, _outputs(head), identifier)


def encode_answer(head: dict[str, object], outputs: Sequence[tuple[Output, np.ndarray]]) -> tuple[bytes, int | None]:
    """Return the answer's body, and the length of its JSON in bytes if binary tensors follow it, else None."""
    described, tensors = [], []
    for output, values in outputs:
        entry: dict[str, object] = {
            "name": OUTPUT,
            "datatype": "BYTES" if values.dtype == object else "FP32",
            "shape": list(values.shape),
        }
        if output.binary:
            raw = _raw(values)
            tensors.append(raw)
            entry["parameters"] = {"binary_data_size": len(raw)}
        else:
            entry["data"] = values.ravel().tolist()
        described.append(entry)
    text = json.dumps(head | {"outputs": described}, ensure_ascii=False).encode(errors="backslashreplace")
    return b"".join([text, *tensors]), len(text) if tensors else None


def _raw(values: np.ndarray) -> bytes:
    if values.dtype != object:
        return values.astype("<f4").tobytes()
    return b"".join(LENGTH.pack(len(text)) + text for text in (value.encode() for value in values.ravel()))


def _header_length(request: Request, body_length: int) -> int:
    given = request.headers.get(HEADER_LENGTH)
    if given is None:
        return body_length
    if not re.fullmatch(r"[0-9]{1,18}", given) or int(given) > body_length:
        raise _bad_request(
            f"found {HEADER_LENGTH} {given!r}, needed a number up to the body's {body_length} bytes: correct it"
        )
    return int(given)


def _images(inputs: object, raw: bytes) -> tuple[bytes, ...]:
    if not (isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], dict)):
        raise _bad_request(f"found inputs that are not one tensor, needed exactly one: send `{INPUT}`")
    tensor = inputs[0]
    if tensor.get("name") != INPUT or tensor.get("datatype") != "BYTES":
        found = f"`{tensor.get('name')}` of {tensor.get('datatype')}"
        raise _bad_request(f"found the input {found}, needed `{INPUT}` of BYTES: correct it")
    images = _elements(tensor, raw)
    if tensor.get("shape") not in ([len(images)], [len(images), 1]):
        raise _bad_request(
            f"found shape {tensor.get('shape')} of {len(images)} images, needed [{len(images)}]: correct it"
        )
    if not images:
        raise ServiceError(ErrorCode.NO_IMAGE, f"found no image, needed at least one: put it into `{INPUT}`")
    return images


def _elements(tensor: dict[str, object], raw: bytes) -> tuple[bytes, ...]:
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        data = tensor.get("data")
        if not isinstance(data, list):
            raise _bad_request(
                "found an input without `data`, needed a list of base64 strings or binary tensor data: send one of them"
            )
        return tuple(decode_base64(text) for text in data)
    if size != len(raw):
        raise _bad_request(
            f"found binary_data_size {size!r}, needed {len(raw)}, the bytes after the inference header: correct it"
        )
    found, position = [], 0
    while position < len(raw):
        if len(raw) - position < LENGTH.size:
            raise _bad_request(
                "found a binary tensor that ends inside the length of an element, needed whole elements: send all of it"
            )
        (length,) = LENGTH.unpack_from(raw, position)
        position += LENGTH.size + length
        if position > len(raw):
            raise _bad_request(
                f"found an element of {length} bytes, needed no more than the binary tensor holds: correct its length"
            )
        found.append(raw[position - length : position])
    return tuple(found)


def _outputs(head: dict[str, object]) -> tuple[Output, ...]:
    binary_default = _parameters(head).get("binary_data_output", False) is True
    wanted = head.get("outputs")
    if wanted is None:
        return (Output(binary_default, 0),)
    if not (isinstance(wanted, list) and wanted and all(isinstance(entry, dict) for entry in wanted)):
        raise _bad_request("found outputs that are no list of tensors, needed one or more: correct or leave them out")
    return tuple(_output(entry, binary_default) for entry in wanted)


def _output(entry: dict[str, object], binary_default: bool) -> Output:
    if entry.get("name") != OUTPUT:
        raise _bad_request(f"found output `{entry.get('name')}`, needed `{OUTPUT}`, the only one: correct its name")
    parameters = _parameters(entry)
    classification = parameters.get("classification", 0)
    if isinstance(classification, bool) or not isinstance(classification, int) or classification < 0:
        raise ServiceError(
            ErrorCode.BAD_PARAMETER,
            f"found classification {classification!r}, needed a whole number of classes: correct it",
        )
    return Output(parameters.get("binary_data", binary_default) is True, classification)


def _parameters(table: dict[str, object]) -> dict[str, object]:
    parameters = table.get("parameters", {})
    if not isinstance(parameters, dict):
        raise _bad_request(f"found parameters {parameters!r}, needed a JSON object: correct them")
    return parameters


def _bad_request(message: str) -> ServiceError:
    return ServiceError(ErrorCode.BAD_REQUEST, message)

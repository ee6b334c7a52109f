"""The Open Inference Protocol's request and answer as bytes: JSON, and the binary tensors that may follow it.

Format: the protocol's "binary tensor data" extension. A body is JSON, followed by the raw tensors in the order
they are named in it; the header HEADER_LENGTH says where the JSON ends. BYTES elements are a little-endian
uint32 length and that many bytes; FP32 is little-endian.
"""

import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flask import Request

from worker.api.uploads import decode_base64, read_body
from worker.contract.errors import BadRequest

HEADER_LENGTH = "Inference-Header-Content-Length"
INPUT, OUTPUT = "image", "scores"
LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Output:
    """A wanted output: as raw bytes or JSON; `classification` = k asks for the k best as text, 0 for all scores."""

    binary: bool
    classification: int


@dataclass(frozen=True)
class InferRequest:
    """The encoded pictures of a request, the outputs it wants, and its own identifier ("" when it has none)."""

    images: tuple[bytes, ...]
    outputs: tuple[Output, ...]
    identifier: str


def read_request(request: Request, max_images: int) -> InferRequest:
    """Parse an infer request; raises BadRequest, saying what was found and what is needed."""
    body = read_body(request)
    end = _header_length(request, len(body))
    try:
        head = json.loads(body[:end])
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the inference header is not valid JSON: {error}") from error
    if not isinstance(head, dict):
        raise BadRequest(f"the inference header must be a JSON object, found {type(head).__name__}")
    images = _images(head.get("inputs"), body[end:])
    if len(images) > max_images:
        raise BadRequest(
            f"{len(images)} images were sent, at most {max_images} fit in one request; send them in several",
            "too_many_images",
        )
    identifier = head.get("id", "")
    if not isinstance(identifier, str):
        raise BadRequest(f"id must be a text, found {identifier!r}")
    return InferRequest(images, _outputs(head), identifier)


def encode_answer(head: dict[str, object], outputs: Sequence[tuple[Output, np.ndarray]]) -> tuple[bytes, int | None]:
    """The answer's body, and the length of its JSON when binary tensors follow it (None: JSON alone)."""
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
        raise BadRequest(f"{HEADER_LENGTH} must be a number up to the body's {body_length} bytes, found {given!r}")
    return int(given)


def _images(inputs: object, raw: bytes) -> tuple[bytes, ...]:
    if not (isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], dict)):
        raise BadRequest(f"inputs must hold exactly one tensor, named `{INPUT}`")
    tensor = inputs[0]
    if tensor.get("name") != INPUT or tensor.get("datatype") != "BYTES":
        found = f"`{tensor.get('name')}` of {tensor.get('datatype')}"
        raise BadRequest(f"the input must be `{INPUT}` of BYTES, found {found}")
    images = _elements(tensor, raw)
    if tensor.get("shape") not in ([len(images)], [len(images), 1]):
        raise BadRequest(f"shape is {tensor.get('shape')}, but {len(images)} images were sent; needed [{len(images)}]")
    if not images:
        raise BadRequest(f"no image was sent; put one or more into `{INPUT}`", "no_image")
    return images


def _elements(tensor: dict[str, object], raw: bytes) -> tuple[bytes, ...]:
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        data = tensor.get("data")
        if not isinstance(data, list):
            raise BadRequest("the input needs `data`, a list of base64 texts, or binary tensor data")
        return tuple(decode_base64(text) for text in data)
    if size != len(raw):
        raise BadRequest(f"binary_data_size is {size!r}, but {len(raw)} bytes follow the inference header")
    found, position = [], 0
    while position < len(raw):
        if len(raw) - position < LENGTH.size:
            raise BadRequest("the binary tensor ends inside the length of an element")
        (length,) = LENGTH.unpack_from(raw, position)
        position += LENGTH.size + length
        if position > len(raw):
            raise BadRequest(f"an element says it has {length} bytes, more than the binary tensor holds")
        found.append(raw[position - length : position])
    return tuple(found)


def _outputs(head: dict[str, object]) -> tuple[Output, ...]:
    binary_default = _parameters(head).get("binary_data_output", False) is True
    wanted = head.get("outputs")
    if wanted is None:
        return (Output(binary_default, 0),)
    if not (isinstance(wanted, list) and wanted and all(isinstance(entry, dict) for entry in wanted)):
        raise BadRequest("outputs must be a list of one or more tensors")
    return tuple(_output(entry, binary_default) for entry in wanted)


def _output(entry: dict[str, object], binary_default: bool) -> Output:
    if entry.get("name") != OUTPUT:
        raise BadRequest(f"unknown output `{entry.get('name')}`; the one there is: {OUTPUT}")
    parameters = _parameters(entry)
    classification = parameters.get("classification", 0)
    if isinstance(classification, bool) or not isinstance(classification, int) or classification < 0:
        raise BadRequest(f"classification must be a whole number of classes, found {classification!r}")
    return Output(parameters.get("binary_data", binary_default) is True, classification)


def _parameters(table: dict[str, object]) -> dict[str, object]:
    parameters = table.get("parameters", {})
    if not isinstance(parameters, dict):
        raise BadRequest(f"parameters must be a JSON object, found {parameters!r}")
    return parameters

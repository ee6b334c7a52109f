"""Read images and parameters from an HTTP request: multipart, raw body, or JSON with base64."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Request

from worker.api import json_text, multipart
from worker.contract.errors import ErrorCode, ServiceError, cut
from worker.contract.limits import MAX_BODY_BYTES

FIELD = "image"
RAW_TYPES = ("application/octet-stream", "")
JSON_FORM = '{"inputs": "<base64>", "parameters": {...}}'


class JsonUpload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image in JSON, in base64, and its parameters."""

    inputs: str | None = None
    parameters: dict[str, Any] | None = None


JSON_UPLOAD = msgspec.json.Decoder(JsonUpload)


class InMemoryRequest(Request):
    """A request whose uploads stay in memory: the body is bounded, and a worker's disk may be read-only."""

    max_content_length = MAX_BODY_BYTES


@dataclass(frozen=True)
class Upload:
    """The images of one request as (filename or None, encoded bytes), and the parameters in its body."""

    images: tuple[tuple[str | None, bytes], ...]
    parameters: Mapping[str, object]


def read_upload(request: Request, max_images: int) -> Upload:
    """Return the images and parameters of `request`; raise ServiceError if the route does not take its body."""
    if request.mimetype == "multipart/form-data":
        upload = _multipart(request, max_images)
    elif request.mimetype == "application/json":
        upload = _json(request)
    elif request.mimetype.startswith("image/") or request.mimetype in RAW_TYPES:
        body = read_body(request)
        upload = Upload(((None, body),) if body else (), {})
    else:
        raise ServiceError(
            ErrorCode.UNSUPPORTED_TYPE,
            f"found Content-Type {cut(request.mimetype)}, needed multipart/form-data, image/* or application/json: "
            f"send the image as the multipart field `{FIELD}`, as the body, or as base64 in JSON",
        )
    if not upload.images:
        raise ServiceError(
            ErrorCode.NO_IMAGE, f"found no image, needed one: send it as the multipart field `{FIELD}` or as the body"
        )
    check_count(len(upload.images), max_images)
    return upload


def check_count(images: int, max_images: int) -> None:
    """Raise ServiceError TOO_MANY_IMAGES if one request holds more than `max_images`."""
    if images > max_images:
        raise ServiceError(
            ErrorCode.TOO_MANY_IMAGES,
            f"found {images} images, needed at most {max_images} in one request: send them in several",
        )


def check_answer(images: int, each: int, most: int) -> None:
    """Raise ServiceError TOO_MANY_IMAGES if an answer of `each` classes an image would hold more than `most`."""
    if images * each > most:
        raise ServiceError(
            ErrorCode.TOO_MANY_IMAGES,
            f"found {images} images with {each} classes each in the answer, needed at most {most} in all: "
            "send fewer images, or ask for fewer classes",
        )


def read_body(request: Request) -> bytes:
    """Return the whole body; raise RequestEntityTooLarge if it is larger than MAX_BODY_BYTES."""
    if request.content_length is not None and request.content_length <= MAX_BODY_BYTES:
        request.max_content_length = None  # werkzeug would refuse a body that just fits
    body = request.get_data(cache=False)
    # A chunked body is silently cut off at the limit; only reading further raises the error.
    request.stream.read(1)
    return body


def _multipart(request: Request, max_images: int) -> Upload:
    parts = multipart.split(read_body(request), request.mimetype_params.get("boundary", ""))
    files = [(part.name, part.filename, part.data) for part in parts if part.filename is not None]
    if unknown := [name for name, _, _ in files if name != FIELD]:
        raise ServiceError(
            ErrorCode.BAD_REQUEST,
            f'found a file in field "{cut(unknown[0])}", needed field `{FIELD}`: rename the field',
        )
    check_count(len(files), max_images)
    fields = _once((part.name, part.text()) for part in parts if part.filename is None)
    return Upload(tuple((filename, bytes(data)) for _, filename, data in files), fields)


def query(request: Request) -> Mapping[str, str]:
    """Return the query's parameters; raise ServiceError BAD_PARAMETER if one is repeated."""
    return _once(request.args.items(multi=True))


def _once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise repeated_parameter(name)
        found[name] = value
    return found


def repeated_parameter(name: str) -> ServiceError:
    """Return the error for a parameter that a request repeats."""
    return ServiceError(ErrorCode.BAD_PARAMETER, f"found parameter {cut(name)} twice, needed it once: remove one")


def _json(request: Request) -> Upload:
    body = json_text.parse(read_body(request), JSON_UPLOAD, JSON_FORM)
    images = () if body.inputs is None else ((None, decode_base64(body.inputs)),)
    return Upload(images, body.parameters or {})


def decode_base64(text: str) -> bytes:
    """Return the bytes of base64 `text`, with or without a data: URL's prefix; raise ServiceError if it is invalid."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ServiceError(
            ErrorCode.BAD_REQUEST, f"found an image that is not valid base64 ({error}), needed base64: encode it again"
        ) from error

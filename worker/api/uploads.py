"""Read images and parameters from an HTTP request: multipart, raw body, or JSON with base64."""

import base64
import binascii
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO

from flask import Request

from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.limits import MAX_BODY_BYTES

FIELD = "image"
RAW_TYPES = ("application/octet-stream", "")


class InMemoryRequest(Request):
    """A request whose uploads stay in memory: the body is bounded, and a worker's disk may be read-only."""

    max_content_length = MAX_BODY_BYTES
    max_form_memory_size = MAX_BODY_BYTES

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return io.BytesIO()


@dataclass(frozen=True)
class Upload:
    """The images of one request as (filename or None, encoded bytes), and the parameters in its body."""

    images: tuple[tuple[str | None, bytes], ...]
    parameters: Mapping[str, object]


def read_upload(request: Request, max_images: int) -> Upload:
    """Return the images and parameters of `request`; raise ServiceError if the route does not take its body."""
    if request.mimetype == "multipart/form-data":
        upload = _multipart(request)
    elif request.mimetype == "application/json":
        upload = _json(request)
    elif request.mimetype.startswith("image/") or request.mimetype in RAW_TYPES:
        body = read_body(request)
        upload = Upload(((None, body),) if body else (), {})
    else:
        raise ServiceError(
            ErrorCode.UNSUPPORTED_TYPE,
            f"found Content-Type {request.mimetype}, needed multipart/form-data, image/* or application/json: "
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


def read_body(request: Request) -> bytes:
    """Return the whole body; raise RequestEntityTooLarge if it is larger than MAX_BODY_BYTES."""
    body = request.get_data(cache=False)
    # A chunked body is silently cut off at the limit; only reading further raises the error.
    request.stream.read(1)
    return body


def _multipart(request: Request) -> Upload:
    if unknown := [name for name in request.files if name != FIELD]:
        raise ServiceError(
            ErrorCode.BAD_REQUEST, f'found a file in field "{unknown[0]}", needed field `{FIELD}`: rename the field'
        )
    images = tuple((file.filename, file.read()) for file in request.files.getlist(FIELD))
    return Upload(images, _once(request.form.items(multi=True)))


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
    return ServiceError(ErrorCode.BAD_PARAMETER, f"found parameter {name} twice, needed it once: remove one")


def _json(request: Request) -> Upload:
    try:
        body = json.loads(read_body(request))
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise ServiceError(
            ErrorCode.BAD_REQUEST,
            'found a body that is no JSON object, needed one: send {"inputs": "<base64>", "parameters": {...}}',
        )
    if unknown := sorted(body.keys() - {"inputs", "parameters"}):
        raise ServiceError(
            ErrorCode.BAD_REQUEST,
            f'found key "{unknown[0]}" in the JSON body, needed inputs and parameters alone: remove or rename it',
        )
    parameters = {} if body.get("parameters") is None else body["parameters"]
    if not isinstance(parameters, dict):
        raise ServiceError(
            ErrorCode.BAD_REQUEST,
            f'found parameters of type {type(parameters).__name__}, needed a JSON object: send "parameters": {{...}}',
        )
    inputs = body.get("inputs")
    if inputs is None:
        return Upload((), parameters)
    return Upload(((None, decode_base64(inputs)),), parameters)


def decode_base64(text: object) -> bytes:
    """Return the bytes of base64 `text`, with or without a data: URL's prefix; raise ServiceError if it is invalid."""
    if not isinstance(text, str):
        raise ServiceError(
            ErrorCode.BAD_REQUEST,
            f"found an image of type {type(text).__name__}, needed a string: send it in base64",
        )
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ServiceError(
            ErrorCode.BAD_REQUEST, f"found an image that is not valid base64 ({error}), needed base64: encode it again"
        ) from error

"""From an HTTP request to images and parameters: multipart, raw body, or JSON with base64."""

import base64
import binascii
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO

from flask import Request

from worker.contract.errors import BadRequest, UnsupportedType
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
    """The images of one request as (filename or None, bytes), and the parameters its body carried."""

    images: tuple[tuple[str | None, bytes], ...]
    parameters: Mapping[str, object]


def read_upload(request: Request, max_images: int) -> Upload:
    """Read what was sent; raises BadRequest or UnsupportedType, saying what was found and what to send."""
    if request.mimetype == "multipart/form-data":
        upload = _multipart(request)
    elif request.mimetype == "application/json":
        upload = _json(request)
    elif request.mimetype.startswith("image/") or request.mimetype in RAW_TYPES:
        body = read_body(request)
        upload = Upload(((None, body),) if body else (), {})
    else:
        raise UnsupportedType(
            f"found Content-Type {request.mimetype}; send multipart/form-data with a field `{FIELD}`, "
            "an image as the body with Content-Type image/*, or application/json"
        )
    if not upload.images:
        raise BadRequest(f"no image was sent; send one as multipart field `{FIELD}` or as the body", "no_image")
    if len(upload.images) > max_images:
        raise BadRequest(
            f"{len(upload.images)} images were sent, at most {max_images} fit in one request; send them in several",
            "too_many_images",
        )
    return upload


def read_body(request: Request) -> bytes:
    """The whole body; raises RequestEntityTooLarge when it is larger than MAX_BODY_BYTES."""
    body = request.get_data(cache=False)
    # A chunked body was cut off at the limit without a word; asking for more is what tells.
    request.stream.read(1)
    return body


def _multipart(request: Request) -> Upload:
    if unknown := [name for name in request.files if name != FIELD]:
        raise BadRequest(f'found a file in field "{unknown[0]}"; send images in field `{FIELD}`')
    images = tuple((file.filename, file.read()) for file in request.files.getlist(FIELD))
    return Upload(images, _once(request.form.items(multi=True)))


def query(request: Request) -> Mapping[str, str]:
    """The query's parameters; raises BadRequest when one is given twice."""
    return _once(request.args.items(multi=True))


def _once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise BadRequest(f"{name} is given twice; give it once", "bad_parameter")
        found[name] = value
    return found


def _json(request: Request) -> Upload:
    try:
        body = json.loads(read_body(request))
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BadRequest('the body is not a JSON object; send {"inputs": "<base64>", "parameters": {...}}')
    if unknown := sorted(body.keys() - {"inputs", "parameters"}):
        raise BadRequest(f'unknown key "{unknown[0]}" in the JSON body; known: inputs, parameters')
    parameters = {} if body.get("parameters") is None else body["parameters"]
    if not isinstance(parameters, dict):
        raise BadRequest("parameters must be a JSON object")
    inputs = body.get("inputs")
    if inputs is None:
        return Upload((), parameters)
    return Upload(((None, decode_base64(inputs)),), parameters)


def decode_base64(text: object) -> bytes:
    """The bytes of base64 `text`, a data: URL's prefix allowed; raises BadRequest when it is none."""
    if not isinstance(text, str):
        raise BadRequest(f"inputs must be a base64 text, found {type(text).__name__}")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"inputs is not valid base64: {error}") from error

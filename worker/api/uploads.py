"""Read images and parameters from an HTTP request: multipart, raw body, or JSON with base64."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from worker.api import json_text, multipart
from worker.api.base64_text import decode_base64, decode_base64_bytes, first_bytes
from worker.api.body import Body
from worker.api.header_options import parse_options
from worker.contract.errors import ErrorCode, ServiceError, cut
from worker.decode import sniff

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FIELD = "image"
# `image`, and as PHP, axios and jQuery name a list of them.
FIELDS = re.compile(rf"{FIELD}s?(\[[0-9]{{0,6}}\])?")
# Types that say nothing: HTTP clients', S3's and browsers' defaults.
RAW_TYPE = re.compile(r"image/.*|(application|binary)/(x-)?(octet-stream|binary|unknown|(force-)?download)|\*/\*|")
JSON_TYPE = re.compile(r"(application|text)/(.+\+)?json")
JSON_START = re.compile(rb"(\xef\xbb\xbf)?[ \t\r\n]{0,100}\{")
JSON_FORM = '{"inputs": "<base64>", "parameters": {...}}'


class JsonUpload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image or several in JSON, in base64, and their parameters."""

    inputs: str | list[str] | None = None
    parameters: dict[str, Any] | None = None


JSON_UPLOAD = msgspec.json.Decoder(JsonUpload)


class Upload(msgspec.Struct, frozen=True):
    """The images of one request as (filename or None, encoded bytes), and the parameters in its body."""

    images: tuple[tuple[str | None, bytes], ...]
    parameters: Mapping[str, object]


def read_upload(
    sent: Body,
    max_images: int,
    fields: re.Pattern[str] = FIELDS,
    json_upload: msgspec.json.Decoder[Any] = JSON_UPLOAD,
) -> Upload:
    """Return the images and parameters in `sent`; a form has its images in `fields`, JSON is a `json_upload`.

    Raise ServiceError if the route does not take its body.
    """
    body = sent.read()
    kind, options = parse_options(sent.environ.get("CONTENT_TYPE", ""))
    kind, boundary = kind.lower(), options.get("boundary", "")
    # An image is one whatever it is declared as: clients seldom know, and often do not say.
    if kind == "multipart/form-data" and (boundary or sniff(body) is None):
        upload = _multipart(body, boundary, max_images, fields)
    elif sniff(body):
        upload = Upload(((None, body),), {})
    elif JSON_TYPE.fullmatch(kind) or (not kind.startswith("image/") and JSON_START.match(body)):
        parsed = json_text.parse(body, json_upload, JSON_FORM)
        body = b""  # free its memory before the images need theirs
        upload = _decoded(parsed, max_images)
    elif RAW_TYPE.fullmatch(kind):
        # Without any bytes, only the type can say that they were to be an image.
        upload = Upload(((None, body),) if body or kind.startswith("image/") else (), {})
    else:
        raise ServiceError(
            ErrorCode.UNSUPPORTED_TYPE,
            f"found Content-Type {cut(kind)}, needed multipart/form-data, image/* or application/json: "
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


def _multipart(body: bytes, boundary: str, max_images: int, fields: re.Pattern[str]) -> Upload:
    files: list[multipart.Part] = []
    texts: list[multipart.Part] = []
    for part in multipart.split(body, boundary):
        if part.filename == "" and not part.data:
            continue  # a browser's form in which no file was chosen
        # Many clients send an image without a file name, which RFC 7578, 4.2 does not demand.
        is_file = part.filename is not None or part.kind.startswith("image/") or fields.fullmatch(part.name)
        (files if is_file else texts).append(part)
    if unknown := [part.name for part in files if not fields.fullmatch(part.name)]:
        raise ServiceError(
            ErrorCode.BAD_REQUEST,
            f'found a file in field "{cut(unknown[0])}", needed field `{FIELD}`: rename the field',
        )
    check_count(len(files), max_images)
    parameters = _once((part.name, part.text()) for part in texts)
    return Upload(tuple((part.filename, _image(part)) for part in files), parameters)


def _image(part: multipart.Part) -> bytes:
    """Return the image of a form's part, which may hold it in base64; raise ServiceError if it is another text."""
    data = bytes(part.data)
    if sniff(data):
        return data
    if sniff(first_bytes(data)):
        return decode_base64_bytes(data)
    if part.filename is None and part.kind in ("", "text/plain") and data and _is_text(data):
        raise ServiceError(
            ErrorCode.BAD_REQUEST,
            f'found the text "{cut(data[:200].decode(errors="replace"), 60)}" in field "{cut(part.name)}", needed the '
            f"bytes of an image: send the file itself, with curl as -F {FIELD}=@FILE",
        )
    return data


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().isprintable()
    except UnicodeDecodeError:
        return False


def query(environ: "WSGIEnvironment") -> Mapping[str, str]:
    """Return the query's parameters; raise ServiceError BAD_PARAMETER if one is repeated."""
    text = environ.get("QUERY_STRING")
    # Bytes that are not UTF-8 stay as they are, as in werkzeug's requests.
    return _once(parse_qsl(text, keep_blank_values=True, errors="werkzeug.url_quote")) if text else {}


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


def _decoded(body: JsonUpload, max_images: int) -> Upload:
    inputs = [body.inputs] if isinstance(body.inputs, str) else body.inputs or []
    check_count(len(inputs), max_images)
    return Upload(tuple((None, decode_base64(image)) for image in inputs), body.parameters or {})

"""The load generator's HTTP/1.1: build requests as bytes, and parse just enough of the responses. Pure."""

import base64
import json
import re
from dataclasses import dataclass

BOUNDARY = "wanwu-bench"
ENCODINGS = ("raw", "multipart", "json:image", "json:image_data")  # after the colon: the key of the base64 text
FIELD, FIELDS = "image", {"/classify": "images"}  # the multipart field, and its name at other paths
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Response:
    """A response's status, three digits, and whether the server closes the connection after it."""

    status: str
    closes: bool


def request_bytes(encoding: str, path: str, image: bytes) -> bytes:
    """Return a complete POST request with `image` to `path`."""
    content_type, body = encode(encoding, path, image)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def encode(encoding: str, path: str, image: bytes) -> tuple[str, bytes]:
    """Return the Content-Type and the body of a request; `encoding` is one of ENCODINGS."""
    if encoding == "raw":
        return "image/jpeg", image
    if encoding == "multipart":
        name = FIELDS.get(path, FIELD)
        part = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="photo.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        )
        end = f"\r\n--{BOUNDARY}--\r\n"
        return f"multipart/form-data; boundary={BOUNDARY}", part.encode() + image + end.encode()
    key = encoding.removeprefix("json:")
    return "application/json", json.dumps({key: base64.b64encode(image).decode()}).encode()


def read_response(received: bytes) -> Response | None:
    """Return the response in `received`, None while it is incomplete; raise ValueError if it has no length."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    response = Response(head[9:12].decode("latin-1"), CLOSE.search(head) is not None)
    if length := LENGTH.search(head):
        return response if len(body) >= int(length[1]) else None
    if CHUNKED.search(head):
        return response if body.endswith(b"0\r\n\r\n") else None
    raise ValueError(f"a response without a length: {head.decode('latin-1')}")

"""HTTP/1.1 as the load generator speaks it: requests as bytes made beforehand, answers read just far enough. Pure."""

import base64
import json
import re
from dataclasses import dataclass

BOUNDARY = "wanwu-bench"
FORMS = ("raw", "multipart", "json:image", "json:image_data")  # after a colon, the key of the base64 text
FIELD, FIELDS = "image", {"/classify": "images"}  # a multipart's field, and what it is at other paths
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """An answer's status, three digits, and whether the server closes the connection after it."""

    status: str
    closes: bool


def request_bytes(form: str, path: str, image: bytes) -> bytes:
    """A whole POST of `image` to `path`, as the server's own documentation has it sent."""
    kind, body = content(form, path, image)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def content(form: str, path: str, image: bytes) -> tuple[str, bytes]:
    """Content-Type and body of a request in that form."""
    if form == "raw":
        return "image/jpeg", image
    if form == "multipart":
        name = FIELDS.get(path, FIELD)
        part = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="photo.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        )
        end = f"\r\n--{BOUNDARY}--\r\n"
        return f"multipart/form-data; boundary={BOUNDARY}", part.encode() + image + end.encode()
    key = form.removeprefix("json:")
    return "application/json", json.dumps({key: base64.b64encode(image).decode()}).encode()


def read_answer(received: bytes) -> Answer | None:
    """The answer that `received` holds, or None while it is not complete. Raises ValueError for one without an end."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    answer = Answer(head[9:12].decode("latin-1"), CLOSE.search(head) is not None)
    if length := LENGTH.search(head):
        return answer if len(body) >= int(length[1]) else None
    if CHUNKED.search(head):
        return answer if body.endswith(b"0\r\n\r\n") else None
    raise ValueError(f"an answer without a length: {head.decode('latin-1')}")

"""The requests that the load generators send, and the label in an answer. Pure."""

import base64
import json
from typing import Any

BOUNDARY = "wanwu-bench"
LABEL_KEYS = ("predictions", "label", "category", "output")  # of this service, the baseline, MOSEC and LitServe


def request_bytes(encoding: str, path: str, image: bytes) -> bytes:
    """Return a complete POST request with `image` to `path`."""
    content_type, body = encode(encoding, image)
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def encode(encoding: str, image: bytes) -> tuple[str, bytes]:
    """Return the Content-Type and the body of a request.

    `encoding` is "raw", "multipart" or "json"; a field's name other than "image" follows after a colon.
    """
    kind, _, name = encoding.partition(":")
    if kind == "raw":
        return "image/jpeg", image
    if kind == "json":
        return "application/json", json.dumps({name: base64.b64encode(image).decode()}).encode()
    disposition = f'Content-Disposition: form-data; name="{name or "image"}"; filename="photo.jpg"'
    head = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n"
    return f"multipart/form-data; boundary={BOUNDARY}", head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()


def first_label(body: bytes) -> str:
    """Return the first label in a server's JSON answer; "" if there is none."""
    try:
        answer: Any = json.loads(body)
        while not isinstance(answer, str):
            answer = answer[0 if isinstance(answer, list) else next(key for key in LABEL_KEYS if key in answer)]
        return answer
    except (ValueError, TypeError, IndexError, StopIteration):
        return ""

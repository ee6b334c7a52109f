"""The fast path: answer `POST /predict` over HTTP/1.1 with one image and no parameters without Flask.

The image is the body or the only file of a form. The answer equals the Flask application's; a request with anything
unknown to this module goes to Flask.
"""

import json
import re
import socket
import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http.client import responses

from worker.api.request_context import REQUEST_ID, begin, end, to_service_error
from worker.api.routes import predict
from worker.api.routes.predict import PATH
from worker.api.service import Service
from worker.api.uploads import FIELD
from worker.contract.limits import FREE_BODY_BYTES

HEAD = re.compile(rb"POST %s HTTP/1\.1\r\n((?:[A-Za-z0-9-]+: ?[\x21-\x7e][\x20-\x7e]*\r\n)+)\r\n" % PATH.encode())
# Headers that do not affect the answer; a request with any other header goes to Flask.
IGNORED_HEADERS = frozenset(
    {
        b"host",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"x-forwarded-for",
        b"x-forwarded-proto",
    }
)
TYPE, LENGTH, CLIENT_ID = b"content-type", b"content-length", REQUEST_ID.lower().encode()
IMAGE = re.compile(rb"image/[a-z0-9.+-]+|application/octet-stream")
FORM = re.compile(rb"multipart/form-data; ?boundary=([A-Za-z0-9_-]{1,70})")
PART = re.compile(
    rb'Content-Disposition: form-data; name="%s"; filename="[^"\\\r\n]+"\r\n(?:Content-Type: [\x21-\x7e]+\r\n)?\r\n'
    % FIELD.encode()
)
NUMBER = re.compile(rb"[1-9][0-9]{0,8}")

to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class SimpleRequest:
    """A request for the fast path: the lengths of its head and body in bytes, and the client's request id, or "".

    `boundary` separates the parts of a form; it is empty if the body is the image.
    """

    head: int
    length: int
    client_id: str
    boundary: bytes = b""

    def image(self, body: bytes) -> bytes | None:
        """Return the image in the complete `body`; None if a form holds anything but one file in FIELD."""
        if not self.boundary:
            return body
        edge = b"\r\n--" + self.boundary
        first, last = edge[2:] + b"\r\n", edge + b"--\r\n"
        part = PART.match(body, len(first))
        if part is None or not (body.startswith(first) and body.endswith(last)):
            return None
        image = body[part.end() : -len(last)]
        return image if image and edge not in image else None


def parse(data: bytes) -> SimpleRequest | None:
    """Return the request at the start of `data`; None if it is not simple or its head is incomplete."""
    match = HEAD.match(data)
    if match is None:
        return None
    taken: dict[bytes, bytes] = {}
    for line in match[1][:-2].split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in IGNORED_HEADERS:
            continue
        if name not in (TYPE, LENGTH, CLIENT_ID) or name in taken:
            return None
        taken[name] = value.strip()
    length, kind = taken.get(LENGTH, b""), taken.get(TYPE, b"")
    form = FORM.fullmatch(kind)
    if not NUMBER.fullmatch(length) or not (form or IMAGE.fullmatch(kind)):
        return None
    found = SimpleRequest(match.end(), int(length), taken.get(CLIENT_ID, b"").decode(), form[1] if form else b"")
    return found if len(data) - found.head <= found.length <= FREE_BODY_BYTES else None


def answer(service: Service, connection: socket.socket, client_id: str, image: bytes, keep: bool) -> bytes:
    """Return the answer to a simple request, headers and body; `keep` tells the client that `connection` stays."""
    context, more = begin(service, client_id, "POST", PATH, connection), ""
    try:
        status, body = 200, predict.answer(service, context, image)
    except Exception as error:
        found = to_service_error(service, context, error)
        status, body = found.code.status, found.body(context.request_id)
        more = "".join(f"{name}: {value}\r\n" for name, value in found.headers.items())
    end(service, context, PATH, status)
    text = f"{to_json(body)}\n".encode()
    head = (
        f"HTTP/1.1 {_line(status)}\r\nDate: {_date(int(time.time()))}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\nContent-Type: {predict.JSON}\r\n"
        f"Content-Length: {len(text)}\r\n{REQUEST_ID}: {context.request_id}\r\n{more}\r\n"
    )
    return head.encode() + text


def _line(status: int) -> str:
    return f"{status} {responses.get(status, 'Unknown')}"


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)

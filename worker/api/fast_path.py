"""The short way of a request that is as plain as can be: HTTP/1.1, to /predict, one picture, no wishes.

The picture is the body, or the one file of a form. The answer is the very one that the long way gives; what is not
known for certain is left to that one.
"""

import json
import re
import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from worker.api import request_context as exchange
from worker.api.flask_app import RETRY_AFTER, told
from worker.api.request_context import REQUEST_ID
from worker.api.routes import predict
from worker.api.routes.predict import PATH
from worker.api.service import Service
from worker.api.uploads import FIELD
from worker.contract.limits import MAX_BODY_BYTES

HEAD = re.compile(rb"POST %s HTTP/1\.1\r\n((?:[A-Za-z0-9-]+: ?[\x21-\x7e][\x20-\x7e]*\r\n)+)\r\n" % PATH.encode())
# With these a request means the same whatever they say; with any that is not named here the long way decides.
HARMLESS = frozenset(
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
TYPE, LENGTH, GIVEN_ID = b"content-type", b"content-length", REQUEST_ID.lower().encode()
PICTURE = re.compile(rb"image/[a-z0-9.+-]+|application/octet-stream")
FORM = re.compile(rb"multipart/form-data; ?boundary=([A-Za-z0-9_-]{1,70})")
PART = re.compile(
    rb'Content-Disposition: form-data; name="%s"; filename="[^"\\\r\n]+"\r\n(?:Content-Type: [\x21-\x7e]+\r\n)?\r\n'
    % FIELD.encode()
)
NUMBER = re.compile(rb"[1-9][0-9]{0,8}")

to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain request: how many bytes are its head and its body, and the id it was given, "" for none.

    `boundary` is what stands between the parts of a form, empty where the body is the picture.
    """

    head: int
    length: int
    given_id: str
    boundary: bytes = b""

    def picture(self, body: bytes) -> bytes | None:
        """The picture in the whole `body`; None for a form that is more than one file in FIELD."""
        if not self.boundary:
            return body
        edge = b"\r\n--" + self.boundary
        first, last = edge[2:] + b"\r\n", edge + b"--\r\n"
        part = PART.match(body, len(first))
        if part is None or not (body.startswith(first) and body.endswith(last)):
            return None
        picture = body[part.end() : -len(last)]
        return picture if picture and edge not in picture else None


def parse(data: bytes) -> Plain | None:
    """The request that `data` begins with; None when it is not plain, or not wholly there up to its body."""
    match = HEAD.match(data)
    if match is None:
        return None
    taken: dict[bytes, bytes] = {}
    for line in match[1][:-2].split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in HARMLESS:
            continue
        if name not in (TYPE, LENGTH, GIVEN_ID) or name in taken:
            return None
        taken[name] = value.strip()
    length, kind = taken.get(LENGTH, b""), taken.get(TYPE, b"")
    form = FORM.fullmatch(kind)
    if not NUMBER.fullmatch(length) or not (form or PICTURE.fullmatch(kind)):
        return None
    found = Plain(match.end(), int(length), taken.get(GIVEN_ID, b"").decode(), form[1] if form else b"")
    return found if len(data) - found.head <= found.length <= MAX_BODY_BYTES else None


def answer(service: Service, given_id: str, image: bytes, keep: bool) -> bytes:
    """The whole answer, headers and body, to a plain request that brought `image`."""
    its, more = exchange.begin(given_id), ""
    try:
        status, body = 200, predict.answer(service, its, image)
    except Exception as error:
        known = told(service, its, error)
        status, body = known.status, known.body(its.request_id)
        if known.retry_after_s is not None:
            more = f"{RETRY_AFTER}: {known.retry_after_s}\r\n"
    exchange.end(service, its, "POST", PATH, PATH, status)
    text = f"{to_json(body)}\n".encode()
    head = (
        f"HTTP/1.1 {_line(status)}\r\nDate: {_date(int(time.time()))}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\nContent-Type: {predict.JSON}\r\n"
        f"Content-Length: {len(text)}\r\n{REQUEST_ID}: {its.request_id}\r\n{more}\r\n"
    )
    return head.encode() + text


def _line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)

"""Parse HTTP/1.1 answers, as far as a health checker needs them. All pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .reasons import Reason

HEAD_LIMIT = 1 << 16  # bytes of the status line and the headers; gunicorn's and Nginx's own limits are lower
HEAD_END = b"\r\n\r\n"


class AnswerError(Exception):
    """The peer's bytes are no answer; the message says why."""


@dataclass(frozen=True)
class Answer:
    """An answer, its header names in lower case. `reusable`: the connection may carry another request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    reusable: bool


def parse_answer(data: bytearray, ended: bool, limit: int) -> Answer | None:
    """Return the answer at the start of `data`, None if more bytes are needed and may come; raise AnswerError.

    `ended`: the peer has closed the connection. Of a body beyond `limit` bytes only the first `limit` are returned.
    """
    end = data.find(HEAD_END, 0, HEAD_LIMIT)
    if end < 0:
        if len(data) >= HEAD_LIMIT:
            raise AnswerError(Reason.LONG_HEADERS.format(size=HEAD_LIMIT >> 10))
        if ended:
            raise AnswerError(Reason.CUT_SHORT if data else Reason.HUNG_UP)
        return None
    version, status, headers = _parse_head(bytes(data[:end]))
    start = end + len(HEAD_END)
    found = _parse_body(headers, data, start, limit)
    if found is None:
        if "content-length" not in headers and "transfer-encoding" not in headers and ended:
            found = bytes(data[start:]), len(data)
        elif len(data) - start >= limit:
            found = bytes(data[start : start + limit]), -1
        elif ended:
            raise AnswerError(Reason.CUT_SHORT)
        else:
            return None
    body, taken = found
    keeps = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return Answer(status, headers, body, keeps and not ended and taken == len(data))


def _parse_head(head: bytes) -> tuple[str, int, dict[str, str]]:
    """Return the version, the status and the headers."""
    first, *lines = head.decode("latin-1").split("\r\n")
    match = re.fullmatch(r"(HTTP/1\.[01]) ([0-9]{3})( .*)?", first)
    if match is None:
        raise AnswerError(Reason.NO_STATUS)
    if any("\r" in line or "\n" in line for line in lines):  # a trial passes a header on, which may add no other
        raise AnswerError(Reason.HEADER_LINE_FEED)
    fields = (line.partition(":") for line in lines)
    return match[1], int(match[2]), {name.strip().lower(): value.strip() for name, _, value in fields}


def _parse_body(headers: Mapping[str, str], data: bytearray, start: int, limit: int) -> tuple[bytes, int] | None:
    """Return the body that starts at `start` and the position behind it; None if it is incomplete or unbounded."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _parse_chunks(data, start)
    length = headers.get("content-length", "")
    if not length:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", length):
        raise AnswerError(Reason.BAD_LENGTH.format(length=length[:20]))
    end = start + int(length)
    return (bytes(data[start : min(end, start + limit)]), end) if len(data) >= end else None


def _parse_chunks(data: bytearray, at: int) -> tuple[bytes, int] | None:
    body = bytearray()
    while (line_end := data.find(b"\r\n", at)) >= 0:
        match = re.match(rb"[0-9A-Fa-f]{1,15}", data[at:line_end])
        if match is None:
            raise AnswerError(Reason.BAD_CHUNK)
        start, size = line_end + 2, int(match[0], 16)
        if size == 0:
            end = data.find(HEAD_END, line_end)  # behind the trailers, if any
            return (bytes(body), end + len(HEAD_END)) if end >= 0 else None
        body += data[start : start + size]
        at = start + size + 2
    return None

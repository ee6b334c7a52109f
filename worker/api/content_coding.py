"""Undo a request's Content-Encoding (RFC 9110, 8.4): gzip and deflate, bounded while they are inflated."""

import zlib
from collections.abc import Callable, Iterator

from werkzeug.exceptions import RequestEntityTooLarge

from worker.contract.errors import ErrorCode, ServiceError, cut
from worker.contract.limits import FREE_BODY_BYTES, MAX_GZIP_MEMBERS

ACCEPTED = "gzip, deflate"
PIECE_BYTES = 64 * 1024  # of a compressed body that are inflated at once
INFLATED_BYTES = 1024 * 1024  # at most what one call returns
GZIP, ZLIB, RAW = 31, 15, -15  # zlib's wbits


def coding_of(header: str) -> str:
    """Return the one coding that the header Content-Encoding names, "" if none; raise ServiceError for any other."""
    named = [name for part in header.split(",", 10) if (name := part.strip().lower()) not in ("", "identity")]
    coding = {"x-gzip": "gzip"}.get(named[0], named[0]) if len(named) == 1 else ", ".join(named)
    if coding not in ("", "gzip", "deflate"):
        raise ServiceError(
            ErrorCode.UNSUPPORTED_ENCODING,
            f"found Content-Encoding {cut(coding)}, needed gzip, deflate or none: compress the body with one of these, "
            "or send it as it is",
            {"Accept-Encoding": ACCEPTED},
        )
    return coding


def inflate(body: bytes, coding: str, most: int, hold: Callable[[], None]) -> bytes:
    """Return `body` inflated; call `hold` once it exceeds FREE_BODY_BYTES.

    Raise RequestEntityTooLarge if it exceeds `most` bytes, and ServiceError BAD_REQUEST if it is damaged.
    """
    parts, size = [], 0
    try:
        for part in _inflated(body, coding):
            parts.append(part)
            if size <= FREE_BODY_BYTES < size + len(part):
                hold()
            size += len(part)
            if size > most:
                raise RequestEntityTooLarge
    except zlib.error as error:
        raise _damaged(coding, str(error)) from error
    return b"".join(parts)


def _inflated(body: bytes, coding: str) -> Iterator[bytes]:
    """Yield the inflated bytes in parts; a gzip body may have several members (RFC 1952, 2.2)."""
    wbits, members = _wbits(body, coding), 1
    stream = zlib.decompressobj(wbits)
    for start in range(0, len(body), PIECE_BYTES):
        piece = body[start : start + PIECE_BYTES]
        while piece:
            if stream.eof:
                if wbits != GZIP or members == MAX_GZIP_MEMBERS:
                    raise _damaged(coding, f"more after its end, or more than {MAX_GZIP_MEMBERS} members")
                stream, members = zlib.decompressobj(wbits), members + 1
            if part := stream.decompress(piece, INFLATED_BYTES):
                yield part
            piece = stream.unconsumed_tail or stream.unused_data
    if part := stream.decompress(b"", INFLATED_BYTES):  # what did not fit into the last part
        yield part
    if not stream.eof:
        raise _damaged(coding, "it ends too soon")


def _wbits(body: bytes, coding: str) -> int:
    """Return zlib's name of the format: deflate means zlib (RFC 1950), but some clients send it raw (RFC 1951)."""
    if coding == "gzip":
        return GZIP
    return ZLIB if body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0 else RAW


def _damaged(coding: str, fault: str) -> ServiceError:
    return ServiceError(
        ErrorCode.BAD_REQUEST,
        f"found a body that is not whole {coding} ({fault}), needed what Content-Encoding says: compress it again, "
        "or leave the header out",
    )

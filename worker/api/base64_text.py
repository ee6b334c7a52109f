"""Decode base64 as clients write it: with line breaks, in the URL-safe alphabet, without padding, in a data: URL."""

import base64
import binascii
import re
from contextlib import suppress

from worker.contract.errors import ErrorCode, ServiceError

DATA_URL = re.compile(rb"\s{0,100}data:([^,]{0,1000}),", re.IGNORECASE)
BLANKS = b" \t\r\n\v\f"
STANDARD = bytes.maketrans(b"-_", b"+/")
FIRST = 96  # characters that show what base64 holds


def decode_base64(text: str) -> bytes:
    """Return the bytes of base64 `text`, with or without a data: URL's prefix; raise ServiceError if it is invalid."""
    try:
        return decode_base64_bytes(text.encode("ascii"))
    except UnicodeEncodeError as error:
        raise _invalid(f"the character {text[error.start]!a}", "encode it again") from error


def decode_base64_bytes(data: bytes) -> bytes:
    """Return the bytes of base64 in ASCII; raise ServiceError if it is invalid.

    Blanks are ignored (RFC 2045, 6.8); the URL-safe alphabet and no padding are understood (RFC 4648, 5 and 3.2).
    """
    if prefix := DATA_URL.match(data):
        if not prefix[1].strip().lower().endswith(b"base64"):
            raise _invalid("a data: URL without ;base64", "write ;base64 before its comma")
        data = data[prefix.end() :]
    with suppress(binascii.Error):
        return base64.b64decode(data, validate=True)
    data = data.translate(STANDARD, BLANKS)
    if len(data) % 4:
        data = data.rstrip(b"=")
        if len(data) % 4 == 1:
            raise _invalid("it is cut short", "encode it again")
        data += b"=" * (-len(data) % 4)
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise _invalid(str(error), "encode it again") from error


def first_bytes(data: bytes) -> bytes:
    """Return the first bytes that `data` holds if it is base64 or a data: URL; none if it is neither."""
    prefix = DATA_URL.match(data)
    start = prefix.end() if prefix else 0
    text = data[start : start + FIRST].translate(STANDARD, BLANKS)
    try:
        return base64.b64decode(text[: len(text) // 4 * 4], validate=True)
    except binascii.Error:
        return b""


def _invalid(found: str, remedy: str) -> ServiceError:
    return ServiceError(
        ErrorCode.BAD_REQUEST, f"found an image that is not valid base64 ({found}), needed base64: {remedy}"
    )

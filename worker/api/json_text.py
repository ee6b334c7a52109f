"""Parse a client's JSON. Every JSON text that a client sends passes `parse`.

Its values are counted before Python objects are made of them, at about a millisecond per megabyte. What a string holds
counts, too, but base64 has no commas or brackets, and the limits leave room for other texts.
"""

from contextlib import suppress
from typing import TypeVar

import msgspec

from worker.contract.errors import ErrorCode, ServiceError, cut
from worker.contract.limits import MAX_JSON_CONTAINERS, MAX_JSON_VALUES

T = TypeVar("T")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some Windows programs write it


def parse(
    text: bytes | str, decoder: msgspec.json.Decoder[T], needed: str, code: ErrorCode = ErrorCode.BAD_REQUEST
) -> T:
    """Return what `decoder` makes of `text`; `needed` names its form in a message.

    Raise ServiceError `code` if the text is malformed, is not of the decoder's type, or exceeds a limit.
    """
    data = text.encode() if isinstance(text, str) else text
    _check_count(data.count(b","), MAX_JSON_VALUES, "commas", code)
    _check_count(data.count(b"[") + data.count(b"{"), MAX_JSON_CONTAINERS, "opening brackets", code)
    try:
        return decoder.decode(data.removeprefix(BYTE_ORDER_MARK))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fault = cut(str(error))
    if b"\n" in data or b"\r" in data:
        # base64 with raw line breaks, as `base64 FILE` in a shell's quotes; between values they mean nothing anyway.
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return decoder.decode(data.translate(None, b"\r\n").removeprefix(BYTE_ORDER_MARK))
    raise ServiceError(code, f"found JSON that does not fit ({fault}), needed {needed}: correct it")


def _check_count(count: int, most: int, counted: str, code: ErrorCode) -> None:
    if count > most:
        raise ServiceError(code, f"found JSON with {count} {counted}, needed at most {most}: send fewer values")

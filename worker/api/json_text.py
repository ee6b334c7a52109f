"""Parse a client's JSON. Every JSON text that a client sends passes `parse`.

Its values are counted before Python objects are made of them, at about a millisecond per megabyte. What a string holds
counts, too, but base64 has no commas or brackets, and the limits leave room for other texts.
"""

from typing import TypeVar

import msgspec

from worker.contract.errors import ErrorCode, ServiceError, cut
from worker.contract.limits import MAX_JSON_CONTAINERS, MAX_JSON_VALUES

T = TypeVar("T")


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
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fault = cut(str(error))
    raise ServiceError(code, f"found JSON that does not fit ({fault}), needed {needed}: correct it")


def _check_count(count: int, most: int, counted: str, code: ErrorCode) -> None:
    if count > most:
        raise ServiceError(code, f"found JSON with {count} {counted}, needed at most {most}: send fewer values")

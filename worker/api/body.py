"""Read a request's body: bounded, and with its Content-Encoding undone."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import cast

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from worker.api.content_coding import coding_of, inflate
from worker.contract.limits import FREE_BODY_BYTES, MAX_BODY_BYTES
from worker.decode import Budget
from worker.pipeline.admission import Deadline, client_gone


def nothing_to_hold() -> None:
    """Stand for a request whose memory nobody counts."""


class InMemoryRequest(Request):
    """A request whose uploads stay in memory: the body is bounded, and a worker's disk may be read-only.

    `hold_inflated` is called before a compressed body takes more than FREE_BODY_BYTES.
    """

    max_body = max_content_length = MAX_BODY_BYTES  # bytes
    hold_inflated: Callable[[], None] = staticmethod(nothing_to_hold)


def hold_memory(request: Request, memory: Budget, deadline: Deadline, held: ExitStack) -> None:
    """Hold the `memory` of a large body until `held` closes; that of a compressed one once it is known to be large."""
    own = cast(InMemoryRequest, request)
    # A chunked body has no length before it is read.
    length = own.max_body if own.content_length is None else min(own.content_length, own.max_body)
    compressed = own.environ.get("HTTP_CONTENT_ENCODING", "").strip().lower() not in ("", "identity")

    def hold() -> None:
        held.enter_context(memory.hold(own.max_body if compressed else length, deadline.left))

    if length > FREE_BODY_BYTES:
        hold()
    elif compressed:
        own.hold_inflated = hold


def read_body(request: Request) -> bytes:
    """Return the whole body, inflated if it is compressed.

    Raise RequestEntityTooLarge if it is larger than the limit, before or after, and ServiceError for a Content-Encoding
    that is not served or does not hold, or if the client disconnects before its end.
    """
    own = cast(InMemoryRequest, request)
    coding, most = coding_of(own.environ.get("HTTP_CONTENT_ENCODING", "")), own.max_body
    length = own.content_length
    if length is None:
        body = own.get_data(cache=False)
        # A chunked body is silently cut off at the limit; only reading further raises the error.
        own.stream.read(1)
    elif length > most:
        raise RequestEntityTooLarge
    else:
        body = own.input_stream.read(length)
        if len(body) < length:
            raise client_gone()
    return inflate(body, coding, most, own.hold_inflated) if body and coding else body

"""Read a request's body: bounded, with its memory held and its Content-Encoding undone."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.utils import get_content_length
from werkzeug.wsgi import get_input_stream

from worker.api.content_coding import coding_of, inflate
from worker.contract.limits import FREE_BODY_BYTES
from worker.decode import Budget
from worker.pipeline.admission import client_gone

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Body:
    """The body of the request in `environ`: at most `most` bytes, which stay in memory, to be read once.

    It holds its `memory` until it is closed, unless it has at most FREE_BODY_BYTES; it waits for it while `left`
    returns the seconds left.
    """

    __slots__ = ("_held", "_left", "_memory", "_most", "environ")

    def __init__(self, environ: "WSGIEnvironment", most: int, memory: Budget, left: Callable[[], float]) -> None:
        self.environ, self._most, self._memory, self._left = environ, most, memory, left
        self._held: AbstractContextManager[None] | None = None

    def read(self) -> bytes:
        """Return the whole body, inflated if it is compressed.

        Raise RequestEntityTooLarge if it is larger than the limit, before or after, and ServiceError for a
        Content-Encoding that is not served or does not hold, if the client disconnects before the body's end, and what
        `left` raises.
        """
        environ, most = self.environ, self._most
        coding = coding_of(environ.get("HTTP_CONTENT_ENCODING", ""))
        length = get_content_length(environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"))
        expected = most if length is None else length  # a chunked body has no length before it is read
        if expected > most:
            raise RequestEntityTooLarge
        if expected > FREE_BODY_BYTES:
            self._hold(most if coding else expected)
        body = self._chunked() if length is None else self._exactly(length)
        # A small compressed body may be a large one once it is inflated.
        return inflate(body, coding, most, partial(self._hold, most)) if body and coding else body

    def close(self) -> None:
        """Release the memory that is held."""
        if self._held is not None:
            self._held.__exit__(None, None, None)

    def _hold(self, count: int) -> None:
        if self._held is None:
            held = self._memory.hold(count, self._left)
            held.__enter__()
            self._held = held

    def _exactly(self, length: int) -> bytes:
        body: bytes = self.environ["wsgi.input"].read(length)
        if len(body) < length:
            raise client_gone()
        return body

    def _chunked(self) -> bytes:
        stream = get_input_stream(self.environ, max_content_length=self._most)
        body = stream.read()
        stream.read(1)  # the body is silently cut off at the limit; only reading further raises the error
        return body

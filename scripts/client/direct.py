"""The transport of `make classify`: Python's standard library alone, one kept connection per thread, no proxy."""

import select
import ssl
import threading
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from scripts.client.wanwu_client import NoAnswerError, Response, UnreachableError
from scripts.client.wanwu_client.uploads import BLOCK_BYTES, Body, FileBody


class DirectTransport:
    """Send straight to the service: a proxy of the environment would not reach this machine. `tls`: whom to trust."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._local, self._tls = threading.local(), tls

    def send(self, method: str, url: str, body: Body | None, headers: Mapping[str, str], timeout_s: float) -> Response:
        address = urlsplit(url)
        path = address.path + (f"?{address.query}" if address.query else "")
        connection = self._connection(address, timeout_s)
        kept = False
        try:
            _request(connection, method, path, body, headers)
            answer = connection.getresponse()
            response = Response(answer.status, answer.read(), answer.headers.get("Retry-After"))
            kept = True
        except ssl.SSLCertVerificationError as error:
            raise UnreachableError(
                f"found a certificate at {address.netloc} that is not trusted ({error.verify_message}), needed one "
                "that is: set CA= to the authority's file"
            ) from error
        except TimeoutError as error:
            raise NoAnswerError(f"found no answer from {url} in {timeout_s:g} s, needed one") from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise UnreachableError(f"found no answer at {address.netloc} ({reason}), needed one") from error
        finally:
            if not kept:
                connection.close()
        return response

    def close(self) -> None:
        """Close this thread's connection; those of other threads end with them."""
        if connection := getattr(self._local, "connection", None):
            connection.close()

    def _connection(self, address: SplitResult, timeout_s: float) -> HTTPConnection:
        """Return this thread's connection, closed if the service has closed it meanwhile."""
        if not hasattr(self._local, "connection"):
            host, port = address.hostname or "", address.port
            self._local.connection = (
                HTTPSConnection(host, port, timeout=timeout_s, blocksize=BLOCK_BYTES, context=self._tls)
                if address.scheme == "https"
                else HTTPConnection(host, port, timeout=timeout_s, blocksize=BLOCK_BYTES)
            )
        connection: HTTPConnection = self._local.connection
        if connection.sock and select.select([connection.sock], [], [], 0)[0]:
            connection.close()
        return connection


class _WatchedBody:
    """A file that is sent until the service answers: one that it refuses by its length is not sent to the end."""

    def __init__(self, body: FileBody, connection: HTTPConnection) -> None:
        self._body, self._connection = body, connection

    def read(self, size: int) -> bytes:
        if select.select([self._connection.sock], [], [], 0)[0]:
            raise BrokenPipeError
        return self._body.read(size)


def _request(connection: HTTPConnection, method: str, path: str, body: Body | None, headers: Mapping[str, str]) -> None:
    """Send the request; a service that refuses a body before it has all of it has answered nevertheless."""
    # What can be read of an encrypted connection need not be an answer.
    watched = isinstance(body, FileBody) and not isinstance(connection, HTTPSConnection)
    try:
        connection.request(method, path, _WatchedBody(body, connection) if watched else body, dict(headers))  # type: ignore[arg-type]
    except (BrokenPipeError, ConnectionResetError):
        if connection.sock is None:
            raise

"""The client's transport: a session of `requests`, with its proxies, certificates and authentication."""

from collections.abc import Mapping

import requests
from requests.adapters import HTTPAdapter

from .errors import NoAnswerError, UnreachableError
from .transport import Response
from .uploads import Body

CONNECTIONS = 64  # kept open per host


class RequestsTransport:
    """Send through `session`, or through one of its own; `verify` is that of requests, None the session's."""

    def __init__(self, session: requests.Session | None = None, verify: bool | str | None = None) -> None:
        self._verify = verify
        self._session, self._owned = session or requests.Session(), session is None
        if self._owned:
            for scheme in ("http://", "https://"):
                self._session.mount(scheme, HTTPAdapter(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS))

    def send(self, method: str, url: str, body: Body | None, headers: Mapping[str, str], timeout_s: float) -> Response:
        try:
            answer = self._session.request(
                method, url, data=body, headers=dict(headers), timeout=timeout_s, allow_redirects=False,
                verify=self._verify,
            )  # fmt: skip
        except requests.Timeout as error:
            raise NoAnswerError(f"found no answer from {url} in {timeout_s:g} s, needed one: {error}") from error
        except requests.exceptions.SSLError as error:
            raise UnreachableError(
                f"found no trusted certificate at {url}, needed one: set verify to the authority's file: {error}"
            ) from error
        except requests.RequestException as error:
            raise UnreachableError(f"found no service at {url}, needed one: {error}") from error
        return Response(answer.status_code, answer.content, answer.headers.get("Retry-After"))

    def close(self) -> None:
        """Close the session, if it is the transport's own."""
        if self._owned:
            self._session.close()

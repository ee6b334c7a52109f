"""How requests travel. The client's own way is `requests`; anything that is a Transport may take its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from .uploads import Body


@dataclass(frozen=True)
class Response:
    """An answer's status, body and Retry-After header."""

    status: int
    body: bytes
    retry_after: str | None = None


class Transport(Protocol):
    """Send one request, from any thread, following no redirect.

    Raise UnreachableError if there is no answer, NoAnswerError if there is none within `timeout_s`.
    """

    def send(
        self, method: str, url: str, body: Body | None, headers: Mapping[str, str], timeout_s: float
    ) -> Response: ...

    def close(self) -> None: ...

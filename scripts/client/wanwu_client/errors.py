"""The exceptions of the client. Each has a `code`: the service's own, or one of the client's."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DEFAULT_RETRY_S = 1.0  # where an answer that should say when to try again does not


class WanwuError(Exception):
    """Base of all that keeps an image from being classified."""

    code = "error"


class UnreadableError(WanwuError):
    """The image cannot be read on this side."""

    code = "unreadable"


class UnreachableError(WanwuError):
    """No connection to the service, or one that broke before the answer."""

    code = "unreachable"


class NoAnswerError(UnreachableError):
    """The service did not answer within the client's `timeout_s`."""

    code = "no_answer"


class UnexpectedAnswerError(WanwuError):
    """The answer is not one that Wanwu gives: something else is at this address."""

    code = "unexpected_answer"


class ServiceError(WanwuError):
    """The service answered with an error: HTTP status, code, message and request id.

    compose/reference/errors.md of the kit lists the codes; `http_STATUS` is that of an answer without one, from a
    proxy in between. `retry_after_s` is None unless the service says when to try again.
    """

    def __init__(self, status: int, code: str, message: str, request_id: str, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.request_id = status, code, message, request_id
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


class RequestError(ServiceError):
    """The request is wrong: an unknown or bad parameter, no image. Sending it again does not help."""


class KeyRefusedError(RequestError):
    """401 or 403: the service asks for a key, and knows none of this client's, or not for this model or route."""


class UnknownModelError(RequestError):
    """404: no such model is served, or nothing is at this address."""


class ImageError(RequestError):
    """413, 415 or 422: this image is too large, no image, or damaged. Others are answered."""


class QueueFullError(ServiceError):
    """429: the service has more to do than it takes, for longer than the client waits."""


class NotReadyError(ServiceError):
    """503: no worker was ready for as long as the client waits."""


class DeadlineError(ServiceError):
    """504: no answer was ready in the service's own time limit."""


class InternalError(ServiceError):
    """Any other fault of the service."""


BY_STATUS: Mapping[int, type[ServiceError]] = {
    401: KeyRefusedError,
    403: KeyRefusedError,
    404: UnknownModelError,
    413: ImageError,
    415: ImageError,
    422: ImageError,
    429: QueueFullError,
    503: NotReadyError,
    504: DeadlineError,
}


def service_error(status: int, body: bytes, retry_after: str | None) -> ServiceError:
    """Return the exception for an answer with an error `status`."""
    kind = BY_STATUS.get(status, RequestError if status < 500 else InternalError)
    error = _described(body)
    code = str(error.get("code") or f"http_{status}")
    message = str(error.get("message") or f"the service answered HTTP {status} without a reason")
    wait_s = _seconds(retry_after) if kind in (QueueFullError, NotReadyError) else None
    return kind(status, code, message, str(error.get("request_id") or ""), wait_s)


def _described(body: bytes) -> Mapping[str, object]:
    try:
        error = json.loads(body)["error"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {}


def _seconds(retry_after: str | None) -> float:
    """Return the seconds that the header Retry-After says, as a number or as a date (RFC 9110, 10.2.3)."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return DEFAULT_RETRY_S

"""ServiceError, a failure that is reported to the client, and how its message quotes what the client sent."""

import reprlib
from collections.abc import Mapping

from worker.contract.error_codes import ErrorCode
from worker.contract.limits import MAX_MESSAGE_CHARACTERS, MAX_QUOTED_CHARACTERS

__all__ = ["ErrorCode", "ServiceError", "cut", "forget_frames", "internal_error", "out_of_memory", "quoted"]

RETRY_AFTER = "Retry-After"
TORCHSERVE_TYPES = {
    ErrorCode.UNKNOWN_MODEL: "ModelNotFoundException",
    ErrorCode.UNKNOWN_ROUTE: "ResourceNotFoundException",
    ErrorCode.METHOD_NOT_ALLOWED: "MethodNotAllowedException",
    ErrorCode.NOT_READY: "ServiceUnavailableException",
}

_VALUES = reprlib.Repr()
_VALUES.maxlevel = 2  # six members of six members are more than a message needs
_VALUES.maxstring = _VALUES.maxlong = _VALUES.maxother = MAX_QUOTED_CHARACTERS


class ServiceError(Exception):
    """A failure that is reported to the client: a code, a message "found X, needed Y: remedy", and further headers."""

    def __init__(self, code: ErrorCode, message: str, headers: Mapping[str, str] | None = None) -> None:
        message = cut(message, MAX_MESSAGE_CHARACTERS)
        super().__init__(message)
        self.code = code
        self.headers = dict(headers or {})
        if code.retry_after_s is not None:
            self.headers[RETRY_AFTER] = str(code.retry_after_s)
        # A name may contain a lone surrogate; a message that quotes it could not be encoded.
        self.message = message.encode(errors="backslashreplace").decode()

    def body(self, request_id: str | None = None) -> dict[str, object]:
        """Return the error's JSON object, without a request id if it is one of a list of results."""
        error = {"code": self.code.value, "message": self.message}
        return {"error": error | ({"request_id": request_id} if request_id else {})}

    def protocol_body(self, request_id: str) -> dict[str, object]:
        """Return the error's JSON object for the Open Inference Protocol, whose clients need `error` to be a string."""
        return {"error": self.message, "code": self.code.value, "request_id": request_id}

    def torchserve_body(self, request_id: str) -> dict[str, object]:
        """Return the error's JSON object for TorchServe's clients, with this project's own beside it."""
        about = {"code": self.code.status, "type": torchserve_type(self.code), "message": self.message}
        return about | self.body(request_id)


def torchserve_type(code: ErrorCode) -> str:
    """Return TorchServe's name of an error; nginx/errors.conf has the same."""
    others = {401: "InvalidKeyException", 403: "InvalidKeyException", 500: "InternalServerException"}
    return TORCHSERVE_TYPES.get(code, others.get(code.status, "BadRequestException"))


def internal_error() -> ServiceError:
    """Return the error that reports an unexpected exception to a client."""
    return ServiceError(
        ErrorCode.INTERNAL, "the worker failed on this request: report the request ID, its log has the details under it"
    )


def out_of_memory() -> ServiceError:
    """Return the error that reports a MemoryError to a client: another time there may be enough."""
    return ServiceError(
        ErrorCode.QUEUE_FULL,
        "found too little memory free in the worker for this request, needed more: "
        "send it again after the seconds in Retry-After, with a smaller image or fewer of them",
    )


def forget_frames(error: BaseException | None) -> None:
    """Remove the tracebacks of `error` and of what led to it.

    Their frames hold the request's body and images. Where one of them holds the error, too, all of that would stay in
    memory until the garbage collector's oldest generation is due, which can be hundreds of requests later.
    """
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def cut(text: str, longest: int = MAX_QUOTED_CHARACTERS) -> str:
    """Return `text`, or its start and "..." if it has more than `longest` characters."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def quoted(value: object) -> str:
    """Return the repr of `value`, cut to MAX_QUOTED_CHARACTERS at a cost that does not grow with the value."""
    return cut(_VALUES.repr(value))

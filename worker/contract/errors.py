"""ServiceError, a failure that is reported to the client."""

from worker.contract.error_codes import ErrorCode

__all__ = ["ErrorCode", "ServiceError", "internal_error"]


class ServiceError(Exception):
    """A failure that is reported to the client: a code, and a message "found X, needed Y: remedy"."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        # JSON may contain a lone surrogate; a message that quotes it could not be encoded.
        self.message = message.encode(errors="backslashreplace").decode()

    def body(self, request_id: str | None = None) -> dict[str, object]:
        """Return the error's JSON object, without a request id if it is one of a list of results."""
        error = {"code": self.code.value, "message": self.message}
        return {"error": error | ({"request_id": request_id} if request_id else {})}

    def protocol_body(self, request_id: str) -> dict[str, object]:
        """Return the error's JSON object for the Open Inference Protocol, whose clients need `error` to be a string."""
        return {"error": self.message, "code": self.code.value, "request_id": request_id}


def internal_error() -> ServiceError:
    """Return the error that reports an unexpected exception to a client."""
    return ServiceError(
        ErrorCode.INTERNAL, "the worker failed on this request: report the request ID, its log has the details under it"
    )

"""ServiceError: a failure that the client hears of."""

from worker.contract.error_codes import ErrorCode

__all__ = ["ErrorCode", "ServiceError", "internal_error"]


class ServiceError(Exception):
    """A failure that the client hears of: a code, and a message "found X, needed Y: remedy"."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        # JSON may hold half a surrogate pair, and a message that quotes one could not be sent.
        self.message = message.encode(errors="backslashreplace").decode()

    def body(self, request_id: str | None = None) -> dict[str, object]:
        """Return the error as JSON; inside a list of results it carries no request id of its own."""
        error = {"code": self.code.value, "message": self.message}
        return {"error": error | ({"request_id": request_id} if request_id else {})}

    def protocol_body(self, request_id: str) -> dict[str, object]:
        """Return the error as the Open Inference Protocol has it: its clients fail on an `error` that is no string."""
        return {"error": self.message, "code": self.code.value, "request_id": request_id}


def internal_error() -> ServiceError:
    """Return what a client hears of a failure that nobody foresaw."""
    return ServiceError(
        ErrorCode.INTERNAL, "the worker failed on this request: report the request ID, its log has the details under it"
    )

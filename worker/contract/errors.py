"""Everything that can go wrong with a request: one class a status of the contract, one code a cause."""


class ServiceError(Exception):
    """A failure the client is told about: an HTTP status, a stable code and a sentence that says what to do."""

    status = 500
    code = "internal"
    retry_after_s: int | None = None

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        # JSON may hold half a surrogate pair, and a sentence that quotes one could not be sent.
        self.message = message.encode(errors="backslashreplace").decode()
        self.code = code or self.code

    def body(self, request_id: str | None = None) -> dict[str, object]:
        """The error as the contract's JSON; inside a list of results it carries no request id of its own."""
        error = {"code": self.code, "message": self.message}
        return {"error": error | ({"request_id": request_id} if request_id else {})}

    def protocol_body(self, request_id: str) -> dict[str, object]:
        """The same as the Open Inference Protocol has it: its clients fail on an `error` that is not a text."""
        return {"error": self.message, "code": self.code, "request_id": request_id}


class BadRequest(ServiceError):
    status, code = 400, "bad_request"


class BadParameter(BadRequest):
    code = "bad_parameter"


class UnknownModel(ServiceError):
    status, code = 404, "unknown_model"


class UnknownExample(ServiceError):
    status, code = 404, "unknown_example"


class BodyTooLarge(ServiceError):
    status, code = 413, "body_too_large"


class UnsupportedType(ServiceError):
    status, code = 415, "unsupported_type"


class Undecodable(ServiceError):
    status, code = 422, "undecodable"


class QueueFull(ServiceError):
    status, code, retry_after_s = 429, "queue_full", 1


class NotReady(ServiceError):
    status, code, retry_after_s = 503, "not_ready", 1


class DeadlinePassed(ServiceError):
    status, code = 504, "deadline"

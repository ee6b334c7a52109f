"""The errors of the service, by code; the page has a text in both languages for each."""

from enum import StrEnum
from http import HTTPStatus


class Code(StrEnum):
    """Why a request is not done."""

    OTHER_HOST = "other_host"
    OTHER_ORIGIN = "other_origin"
    WRONG_KEY = "wrong_key"
    UNKNOWN = "unknown"
    BAD_REQUEST = "bad_request"
    BAD_NAME = "bad_name"
    BAD_CLASS = "bad_class"
    NAME_TAKEN = "name_taken"
    BUSY = "busy"
    NO_UPLOAD = "no_upload"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    NO_SPACE = "no_space"
    FAILED = "failed"


STATUS = {
    Code.OTHER_HOST: HTTPStatus.FORBIDDEN,
    Code.OTHER_ORIGIN: HTTPStatus.FORBIDDEN,
    Code.WRONG_KEY: HTTPStatus.UNAUTHORIZED,
    Code.UNKNOWN: HTTPStatus.NOT_FOUND,
    Code.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    Code.BAD_NAME: HTTPStatus.BAD_REQUEST,
    Code.BAD_CLASS: HTTPStatus.BAD_REQUEST,
    Code.NAME_TAKEN: HTTPStatus.CONFLICT,
    Code.BUSY: HTTPStatus.CONFLICT,
    Code.NO_UPLOAD: HTTPStatus.CONFLICT,
    Code.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.TOO_MANY: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.NO_SPACE: HTTPStatus.INSUFFICIENT_STORAGE,
    Code.FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Refused(Exception):
    """A request that is not done, and why: what was found, what was needed, the remedy."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> HTTPStatus:
        return STATUS[self.code]

    @property
    def body(self) -> dict[str, dict[str, str]]:
        return {"error": {"code": self.code.value, "message": self.message}}

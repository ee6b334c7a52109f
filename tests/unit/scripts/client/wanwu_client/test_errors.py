"""Errors: a class for each status, with the service's code, and the seconds to wait."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from scripts.client.wanwu_client import (
    DeadlineError,
    ImageError,
    InternalError,
    KeyRefusedError,
    NotReadyError,
    QueueFullError,
    RequestError,
    ServiceError,
    UnknownModelError,
)
from scripts.client.wanwu_client.errors import service_error
from worker.contract.error_codes import ErrorCode

CLASSES = {
    400: RequestError, 401: KeyRefusedError, 403: KeyRefusedError, 404: UnknownModelError, 405: RequestError,
    412: RequestError, 413: ImageError, 414: RequestError,
    415: ImageError, 421: RequestError, 422: ImageError, 426: RequestError, 429: QueueFullError, 431: RequestError,
    499: RequestError, 500: InternalError, 501: InternalError, 503: NotReadyError, 504: DeadlineError,
    505: InternalError,
}  # fmt: skip


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_of_the_service_has_its_class(code: ErrorCode) -> None:
    body = json.dumps({"error": {"code": code.value, "message": "found X", "request_id": "r"}}).encode()
    error = service_error(code.status, body, "7")
    assert type(error) is CLASSES[code.status]
    assert isinstance(error, ServiceError)
    assert (error.status, error.code, error.message, error.request_id) == (code.status, code.value, "found X", "r")
    assert error.retry_after_s == (7 if code.status in (429, 503) else None)
    assert str(error) == f"found X ({code.value})"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "text"}', b"null", b"[" * 100_000])
def test_an_answer_of_a_proxy_in_between_has_its_status_as_code(body: bytes) -> None:
    error = service_error(503, body, None)
    assert (type(error), error.code, error.retry_after_s) == (NotReadyError, "http_503", 1)


@pytest.mark.parametrize(
    ("header", "seconds"), [("0", 0), ("12", 12), (" 3 ", 3), (None, 1), ("", 1), ("-5", 1), ("soon", 1), ("1.5", 1)]
)
def test_retry_after_in_seconds(header: str | None, seconds: float) -> None:
    assert service_error(429, b"", header).retry_after_s == seconds


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3500 < (service_error(503, b"", later).retry_after_s or 0) <= 3600
    assert service_error(503, b"", "Thu, 01 Jan 1970 00:00:00 GMT").retry_after_s == 0

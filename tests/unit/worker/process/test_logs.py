"""Logs: one record, one JSON object on one line."""

import json
import logging
import sys
from datetime import datetime

from worker.process.logs import FIELDS, JsonFormatter


def line(message: str, *arguments: object, **extra: object) -> str:
    record = logging.getLogger("worker.test").makeRecord(
        "worker.test", logging.WARNING, __file__, 1, message, arguments, None, extra=extra
    )
    return JsonFormatter().format(record)


def test_a_record_is_one_line_with_time_level_logger_and_message() -> None:
    text = line("%d 张\n图片", 3)
    assert "\n" not in text
    found = json.loads(text)
    assert datetime.fromisoformat(found.pop("time")).tzinfo is not None
    assert found == {"level": "warning", "logger": "worker.test", "message": "3 张\n图片"}
    assert "张" in text


def test_a_records_fields_become_keys_of_its_object() -> None:
    found = json.loads(line("request", **{FIELDS: {"request_id": "r1", "status": 200}}))
    assert (found["request_id"], found["status"]) == ("r1", 200)


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("what went wrong")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "unforeseen", (), sys.exc_info())
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert json.loads(text)["exception"].endswith("ValueError: what went wrong")

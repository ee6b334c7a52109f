"""Logs as JSON lines on standard output, with the request id if there is one."""

import logging
import sys
from datetime import UTC, datetime

import msgspec

# Nobody reads what logging would otherwise find out about each record: its caller, thread and process.
logging._srcfile = None
logging.logThreads = logging.logProcesses = False

FIELDS = "fields"  # the `extra` key under which a record carries its own JSON fields


def timestamp(seconds: float) -> str:
    """Return a time in seconds since 1970 as ISO 8601, UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


class JsonFormatter(logging.Formatter):
    """Format a record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, FIELDS, {})
        line = {
            "time": fields.get("time") or timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        } | fields
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": sys.stdout}},
    "root": {"level": "INFO", "handlers": ["stdout"]},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True}},
}

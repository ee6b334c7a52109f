"""Find the lines of one request in all logs of a service."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from scripts.base.errors import CommandError

VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # those that nginx.conf and the worker keep; others they replace
# Nginx's error lines have the number of the connection, as its access lines do, but no request id; and local time.
ERROR = re.compile(r"^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[\w+\] \d+#\d+: \*(\d+) ")
ROUNDED = timedelta(seconds=1)  # both times are of whole seconds


@dataclass(frozen=True)
class Line:
    """A line and the log that has it."""

    log: str
    text: str


@dataclass(frozen=True)
class _Span:
    """When a connection of a log was at work on the request."""

    log: str
    connection: int
    began: datetime
    ended: datetime

    def has(self, line: Line) -> bool:
        found = ERROR.match(line.text)
        if not found or line.log != self.log or int(found[2]) != self.connection:
            return False
        return self.began <= datetime.strptime(found[1], "%Y/%m/%d %H:%M:%S") <= self.ended


def check_id(request_id: str) -> None:
    """Raise CommandError if no request can have this id."""
    if not VALID_ID.fullmatch(request_id):
        raise CommandError(
            f"REQUEST: found {request_id!r}, needed the request_id of an answer or its header X-Request-ID: "
            "up to 64 letters, digits, dots, underscores and hyphens"
        )


def find(lines: Iterable[Line], request_id: str) -> Iterator[Line]:
    """Yield the lines that name the request, and then Nginx's error lines of its connection at that time."""
    named, spans, errors = re.compile(rf'"request_id": ?"{re.escape(request_id)}"'), list[_Span](), list[Line]()
    for line in lines:
        if named.search(line.text):
            yield line
            spans += _spans(line)
        elif ERROR.match(line.text):
            errors.append(line)
    yield from (error for error in errors if any(span.has(error) for span in spans))


def _spans(line: Line) -> list[_Span]:
    """Return when the connection of an access line of Nginx's was at work on it; nothing for another line."""
    try:
        fields = json.loads(line.text[line.text.index("{") :])
        ended = datetime.fromisoformat(fields["time"]).replace(tzinfo=None)
        began = ended - timedelta(seconds=fields["request_time"])
        return [_Span(line.log, fields["connection"], began - ROUNDED, ended + ROUNDED)]
    except (ValueError, LookupError, TypeError):
        return []

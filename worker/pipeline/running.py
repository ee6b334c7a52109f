"""The calls that run now, so that the watchdog can tell one that hangs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Running:
    """The calls of one kind that run now, in any thread."""

    def __init__(self) -> None:
        self._started: dict[object, float] = {}

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count the context as one call."""
        key = object()
        self._started[key] = time.monotonic()
        try:
            yield
        finally:
            del self._started[key]

    def longest_s(self) -> float:
        """Return for how many seconds the oldest call has run; 0 if none runs."""
        now = time.monotonic()
        return now - min(list(self._started.values()), default=now)

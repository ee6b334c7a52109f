"""The calls that run now, so that the watchdog can tell one that hangs."""

import time
from functools import partial

from worker.pipeline.between import Between


class Running:
    """The calls of one kind that run now, in any thread."""

    def __init__(self) -> None:
        self._started: dict[object, float] = {}

    def call(self) -> Between[None]:
        """Count the context as one call."""
        key = object()
        return Between(partial(self._start, key), partial(self._started.pop, key))

    def longest_s(self) -> float:
        """Return for how many seconds the oldest call has run; 0 if none runs."""
        now = time.monotonic()
        return now - min(list(self._started.values()), default=now)

    def _start(self, key: object) -> None:
        self._started[key] = time.monotonic()

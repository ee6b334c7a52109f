"""The worker's state (starting, ready, draining or broken), and the watchdog over the engine."""

import re
import threading
import time
from collections.abc import Callable

from worker.contract.errors import ErrorCode, ServiceError

STARTING, READY, DRAINING, BROKEN = "starting", "ready", "draining", "broken"


# An absolute path up to its last two parts: between quotes, at the start of a message, or without spaces.
PATHS = (
    re.compile(r"""(?<=['"])/(?:[^'"\n]*/)?([^/'"\n]*/[^/'"\n]*)(?=['"])"""),
    re.compile(r"""^/(?:[^:\n]*/)?([^/:\n]+/[^/:\n]+)(?=: |$)"""),
    re.compile(r"""(?<![\w:/.'"])/(?:[^\s/:'",;]+/)*([^\s/:'",;]+/[^\s/:'",;]+)"""),
)


def shorten_paths(text: str) -> str:
    """Return `text` with no more than the last two parts of each absolute path."""
    for pattern in PATHS:
        text = pattern.sub(r"\1", text)
    return text


class Health:
    """The worker's state, safe to read from any thread; `reason` says why it is broken, to everybody: no host paths."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.state = STARTING
        self.reason: str | None = None
        self._answering = False

    def become(self, state: str, reason: str | None = None) -> None:
        """Change to `state`. Draining is final: a worker that stops never becomes ready again."""
        with self._lock:
            if self.state != DRAINING:
                self.state, self.reason = state, reason and shorten_paths(reason)
                self._answering = state == READY or (state == DRAINING and self._answering)

    @property
    def ready(self) -> bool:
        return self.state == READY

    def require_answering(self) -> None:
        """Raise ServiceError NOT_READY unless the worker is ready, or draining after having been ready."""
        if not self._answering:
            found = f"{self.state}: {self.reason}" if self.reason else self.state
            raise ServiceError(ErrorCode.NOT_READY, f"found this worker {found}, needed it ready: try again shortly")


def watch(fault: Callable[[], str | None], interval_s: float, give_up: Callable[[str], None]) -> threading.Thread:
    """Start a watchdog thread that looks every `interval_s` and calls `give_up` with the first fault.

    A hung engine has released Python's lock, so another thread can notice; but only a new process helps.
    """

    def loop() -> None:
        while (found := fault()) is None:
            time.sleep(interval_s)
        give_up(found)

    thread = threading.Thread(target=loop, name="watchdog", daemon=True)
    thread.start()
    return thread

"""The worker's state (starting, ready, draining or broken), and the watchdog for hung inferences."""

import threading
import time
from collections.abc import Callable

from worker.contract.errors import ErrorCode, ServiceError

STARTING, READY, DRAINING, BROKEN = "starting", "ready", "draining", "broken"


class Health:
    """The worker's state, safe to read from any thread; `reason` says why it is broken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.state = STARTING
        self.reason: str | None = None
        self._answering = False

    def become(self, state: str, reason: str | None = None) -> None:
        """Change to `state`. Draining is final: a worker that stops never becomes ready again."""
        with self._lock:
            if self.state != DRAINING:
                self.state, self.reason = state, reason
                self._answering = state == READY or (state == DRAINING and self._answering)

    @property
    def ready(self) -> bool:
        return self.state == READY

    def require_answering(self) -> None:
        """Raise ServiceError NOT_READY unless the worker is ready, or draining after having been ready."""
        if not self._answering:
            found = f"{self.state}: {self.reason}" if self.reason else self.state
            raise ServiceError(ErrorCode.NOT_READY, f"found this worker {found}, needed it ready: try again shortly")


def watch(busy_s: Callable[[], float], limit_s: float, give_up: Callable[[float], None]) -> threading.Thread:
    """Start a watchdog thread that calls `give_up` with the seconds once one inference takes longer than `limit_s`.

    A hung engine has released Python's lock, so another thread can notice; but only a new process helps.
    """

    def loop() -> None:
        while (busy := busy_s()) <= limit_s:
            time.sleep(min(1.0, limit_s / 4))
        give_up(busy)

    thread = threading.Thread(target=loop, name="watchdog", daemon=True)
    thread.start()
    return thread

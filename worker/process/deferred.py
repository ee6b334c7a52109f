"""Deferred calls: metrics and log lines that no response waits for, executed together soon.

After an inference all other code has left the processor's caches, and one metric or log line costs as much as
twenty in a row: without deferring them they took a tenth of a fast model's request time.
"""

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

INTERVAL_S = 0.25  # from the first call until all that have come since are executed

log = logging.getLogger(__name__)


class DeferredCalls:
    """A queue of calls, filled from any thread and executed in order by a thread of its own, or by `run_all`."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._lock = threading.Lock()
        self._due = threading.Event()
        threading.Thread(target=self._run, name="deferred", daemon=True).start()
        atexit.register(self.run_all)

    def __call__(self, function: Callable[..., object], *arguments: Any) -> None:
        """Queue a call whose result is not needed."""
        self._calls.append((function, arguments))
        if not self._due.is_set():
            self._due.set()

    def run_all(self) -> None:
        """Execute all queued calls now."""
        with self._lock:
            while self._calls:
                function, arguments = self._calls.popleft()
                try:
                    function(*arguments)
                except Exception:
                    log.exception("a deferred call failed")

    def _run(self) -> None:
        while True:
            self._due.wait()  # an idle worker does not wake up for nothing
            time.sleep(INTERVAL_S)
            self._due.clear()
            self.run_all()

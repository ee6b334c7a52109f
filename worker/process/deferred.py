"""Deferred calls: work that no answer waits for is queued while a request runs and done a few times a second.

After an inference all other code has left the processor's caches, and one metric or log line then costs as much as
twenty of them in a row: together they took a tenth of a fast model's request.
"""

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

EVERY_S = 0.25

log = logging.getLogger(__name__)


class DeferredCalls:
    """Calls queued by any thread and done in their order by one thread, or by whoever calls `flush`."""

    def __init__(self) -> None:
        self._queued: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="deferred", daemon=True).start()
        atexit.register(self.flush)

    def __call__(self, function: Callable[..., object], *arguments: Any) -> None:
        """Queue a call whose result nobody needs."""
        self._queued.append((function, arguments))

    def flush(self) -> None:
        """Do all queued calls now."""
        with self._lock:
            while self._queued:
                function, arguments = self._queued.popleft()
                try:
                    function(*arguments)
                except Exception:
                    log.exception("a deferred call failed")

    def _run(self) -> None:
        while True:
            time.sleep(EVERY_S)
            self.flush()

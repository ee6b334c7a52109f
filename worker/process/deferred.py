"""Work that no answer waits for: noted in passing, done a few times a second.

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


class Later:
    """Calls noted from any thread, done in their order by one thread, or by whoever asks for all to be done now."""

    def __init__(self) -> None:
        self._noted: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="later", daemon=True).start()
        atexit.register(self.now)

    def __call__(self, function: Callable[..., object], *arguments: Any) -> None:
        """Note a call whose result nobody needs."""
        self._noted.append((function, arguments))

    def now(self) -> None:
        """Do all that was noted before."""
        with self._lock:
            while self._noted:
                function, arguments = self._noted.popleft()
                try:
                    function(*arguments)
                except Exception:
                    log.exception("put off, and then failed")

    def _run(self) -> None:
        while True:
            time.sleep(EVERY_S)
            self.now()

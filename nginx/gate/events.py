"""What the main thread has to do, from all threads and signals: those that can wait do not wake it up."""

import queue
import time
from collections import deque
from collections.abc import Callable

BATCH_S = 0.02  # events that come within this time are applied together

Event = Callable[[], None] | None  # None: stop


class Events:
    """Events in their order. A signal's handler may put one while the main thread waits: nothing here is locked."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def put(self, event: Event, soon: bool = True) -> None:
        """Have `event` applied: `soon`, or when the main thread is up anyway."""
        self._events.append(event)
        if soon:
            self._wakes.put(None)

    def gather(self, within_s: float) -> list[Event]:
        """Return all events, none twice, after `within_s` or shortly after one that is to be applied soon."""
        try:
            self._wakes.get(timeout=within_s)
            time.sleep(BATCH_S)
            while not self._wakes.empty():
                self._wakes.get()
        except queue.Empty:
            pass
        return [self._events.popleft() for _ in range(len(self._events))]

"""The memory that all images in flight may hold together."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.contract.errors import ErrorCode, ServiceError

MEGABYTE = 10**6
LOOK_S = 1.0  # between two looks at the deadline, which show that nothing hangs


class Budget:
    """Bytes that images may hold while they are decoded, all of a worker together."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._free = capacity
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, count: int, left: Callable[[], float]) -> Iterator[None]:
        """Hold `count` bytes in the context, after waiting until they are free.

        Raise ServiceError IMAGE_TOO_COSTLY if they are more than the whole budget, and what `left` raises once the
        deadline has passed.
        """
        if count > self.capacity:
            raise ServiceError(
                ErrorCode.IMAGE_TOO_COSTLY,
                f"found an image that takes {count // MEGABYTE} MB of memory while it is decoded, needed at most "
                f"{self.capacity // MEGABYTE} MB: scale it down, or save it as a baseline JPEG or a PNG without "
                "interlacing",
            )
        with self._changed:
            while self._free < count:
                self._changed.wait(min(left(), LOOK_S))
            self._free -= count
        try:
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()


def no_deadline() -> float:
    """Return the seconds left of work that nobody waits for."""
    return threading.TIMEOUT_MAX

"""What decoding may cost: the memory that all images in flight hold together, and the work for one image."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.limits import LIMITS

if TYPE_CHECKING:
    from worker.decode.isolated.pool import Pool

MEGABYTE = 10**6


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
                self._changed.wait(left())
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


@dataclass(frozen=True)
class Bounds:
    """The bounds of one decode: pixels of the image, the budget that it shares, and the seconds left.

    `processes` decode what cannot be stopped or might crash; None means that this process does.
    """

    max_pixels: int = LIMITS["max_pixels"].default
    budget: Budget = field(default_factory=lambda: Budget(LIMITS["decode_mb"].default * MEGABYTE))
    left: Callable[[], float] = no_deadline
    processes: "Pool | None" = None

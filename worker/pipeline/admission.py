"""Admission: how many images may be queued or in work at once, and by when a request must be answered."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from worker.contract.errors import ErrorCode, ServiceError


class Admission:
    """Count the admitted images and refuse those above `capacity` at once, so that no hidden queue builds up."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.in_flight = 0
        self._lock = threading.Lock()

    @contextmanager
    def admit(self, images: int) -> Iterator[None]:
        """Hold places for `images` images in the context; raise ServiceError QUEUE_FULL if too few are free."""
        with self._lock:
            if self.in_flight + images > self.capacity:
                raise ServiceError(
                    ErrorCode.QUEUE_FULL,
                    f"found {self.in_flight} of {self.capacity} places taken, needed {images} more: "
                    "send the request again after the seconds in Retry-After",
                )
            self.in_flight += images
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= images


class Deadline:
    """A moment `seconds` from now on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left; raise ServiceError DEADLINE if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def passed(self) -> ServiceError:
        """Return the error to raise once the deadline has passed."""
        return ServiceError(
            ErrorCode.DEADLINE,
            f"found no answer after {self.seconds:g} seconds, needed one by then: "
            "send fewer images at once, or try again later",
        )

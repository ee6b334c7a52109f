"""Admission: how many images may be queued or in work at once, and by when a request must be answered."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.limits import Share
from worker.pipeline.between import Between

CLIENT_CHECK_INTERVAL_S = 0.1  # most requests end before the first check


class Admission:
    """Count the places that requests hold and refuse a request at once if too few are free: no hidden queue builds up.

    There are `capacity` places, of which each kind of request may hold its Share.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.in_flight = 0
        self._held = Counter[Share]()
        self._lock = threading.Lock()

    def admit(self, places: int, share: Share = Share.ORDINARY) -> Between[int]:
        """Hold `places` in the context, or as many as the share has if that is fewer; yield how many.

        Raise ServiceError QUEUE_FULL if too few of the share or of all places are free.
        """
        places = min(places, share.places(self.capacity))
        return Between(partial(self._take, places, share), partial(self._give, places, share))

    def _take(self, places: int, share: Share) -> int:
        limit = share.places(self.capacity)
        with self._lock:
            if self.in_flight + places > self.capacity:
                raise _full(self.in_flight, self.capacity, "", places)
            if self._held[share] + places > limit:
                raise _full(self._held[share], limit, f" for {share.value}", places)
            self._change(share, places)
        return places

    def _give(self, places: int, share: Share) -> None:
        with self._lock:
            self._change(share, -places)

    def _change(self, share: Share, places: int) -> None:
        self.in_flight += places
        self._held[share] += places


def _full(taken: int, limit: int, purpose: str, needed: int) -> ServiceError:
    return ServiceError(
        ErrorCode.QUEUE_FULL,
        f"found {taken} of {limit} places{purpose} taken, needed {needed} more: "
        "send the request again after the seconds in Retry-After",
    )


def never() -> bool:
    """Return False: a client that is always there."""
    return False


def client_gone() -> ServiceError:
    """Return the error for a request whose client has closed the connection."""
    return ServiceError(
        ErrorCode.CLIENT_GONE,
        "found the connection closed by the client before the answer, needed it open: "
        "keep it open in both directions until the answer has come",
    )


class Deadline:
    """The end of a request: `seconds` from now on the monotonic clock, or sooner if its client has `gone`."""

    def __init__(self, seconds: float, gone: Callable[[], bool] = never) -> None:
        self.seconds, self._gone = seconds, gone
        self.looks = 0  # counts checks, as a sign of progress
        now = time.monotonic()
        self._end, self._look = now + seconds, now + CLIENT_CHECK_INTERVAL_S

    def over(self) -> bool:
        """Return whether the deadline has passed."""
        return time.monotonic() >= self._end

    def left(self) -> float:
        """Return the seconds left; raise ServiceError DEADLINE if there are none."""
        self.looks += 1
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def checked(self) -> float:
        """Return the seconds left; raise as `check` does."""
        self.check()
        return self.left()

    def check(self) -> None:
        """Raise ServiceError DEADLINE if no time is left, or CLIENT_GONE; ask for the client only now and then."""
        self.left()
        now = time.monotonic()
        if now < self._look:
            return
        self._look = now + CLIENT_CHECK_INTERVAL_S
        if self._gone():
            raise client_gone()

    def wait(self, ready: Callable[[float], bool]) -> None:
        """Return once `ready`, which waits up to the seconds that it is given, returns True; raise as `check` does."""
        while not ready(min(self.left(), CLIENT_CHECK_INTERVAL_S)):
            self.check()

    def passed(self) -> ServiceError:
        """Return the error to raise once the deadline has passed."""
        return ServiceError(
            ErrorCode.DEADLINE,
            f"found no answer after {self.seconds:g} seconds, needed one by then: "
            "send fewer images at once, or try again later",
        )

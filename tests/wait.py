"""Wait for a state, never for a moment in time."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_INTERVAL_S = 0.1
TIMEOUT_S = 180  # generous, for a busy machine
T = TypeVar("T")


def until(what: str, condition: Callable[[], T | None], timeout_s: float = TIMEOUT_S) -> T:
    """Return the first true value of `condition()`; fail, naming `what`, if that takes longer than `timeout_s` seconds.

    A condition that costs time is called less often: what it waits for needs the processor, too.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        started = time.monotonic()
        if value := condition():
            return value
        if started > deadline:
            raise AssertionError(f"not true after {timeout_s} s: {what}")
        time.sleep(max(POLL_INTERVAL_S, 3 * (time.monotonic() - started)))

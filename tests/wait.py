"""Wait for a state, never for a moment in time."""

import time
from collections.abc import Callable

POLL_INTERVAL_S = 0.05
TIMEOUT_S = 180  # generous, for a busy machine


def until(what: str, condition: Callable[[], object], timeout_s: float = TIMEOUT_S) -> None:
    """Return once `condition()` is true; fail, naming `what`, if that takes longer than `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        started = time.monotonic()
        if condition():
            return
        if started > deadline:
            raise AssertionError(f"not true after {timeout_s} s: {what}")
        time.sleep(max(POLL_INTERVAL_S, 3 * (time.monotonic() - started)))  # call an expensive check less often

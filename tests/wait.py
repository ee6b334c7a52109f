"""Wait for a state, never for a moment in time."""

import time
from collections.abc import Callable

LOOK_S = 0.05
LIMIT_S = 180  # generous, for a busy machine


def until(what: str, holds: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Return once `holds()` is true; fail, naming `what`, if that takes longer than `limit_s` seconds."""
    end = time.monotonic() + limit_s
    while True:
        began = time.monotonic()
        if holds():
            return
        if began > end:
            raise AssertionError(f"still not so after {limit_s} s: {what}")
        time.sleep(max(LOOK_S, time.monotonic() - began))  # call an expensive check less often

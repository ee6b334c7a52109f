"""Waiting for a state of the world, never for a moment of time."""

import time
from collections.abc import Callable

LOOK_S = 0.05
LIMIT_S = 180  # for a machine that does much else


def until(what: str, holds: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Return once `holds()` is true; fails with `what` was waited for when that takes longer than `limit_s`."""
    end = time.monotonic() + limit_s
    while True:
        began = time.monotonic()
        if holds():
            return
        if began > end:
            raise AssertionError(f"still not so after {limit_s} s: {what}")
        time.sleep(max(LOOK_S, time.monotonic() - began))  # what is dear to look at is looked at less often

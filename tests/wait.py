"""Waiting for a state of the world, never for a moment of time."""

import time
from collections.abc import Callable

LIMIT_S = 180  # for a machine that does much else


def until(what: str, holds: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Return once `holds()` is true; fails with `what` was waited for when that takes longer than `limit_s`."""
    end = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"still not so after {limit_s} s: {what}")
        time.sleep(0.05)

"""Waiting for a state of the world."""

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], object], limit_s: float = float("inf"), every_s: float = 0.1) -> bool:
    """Call `holds` every `every_s` seconds; return True once it does, False when `limit_s` seconds are over first."""
    deadline = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True

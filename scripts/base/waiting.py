"""Wait for a condition by polling."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], timeout_s: float = float("inf"), interval_s: float = 0.1) -> bool:
    """Call `condition` every `interval_s` seconds; return True once it is true, or False after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval_s)
    return True

"""Wait for a condition by polling."""

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], object], limit_s: float = float("inf"), every_s: float = 0.1) -> bool:
    """Call `holds` every `every_s` seconds; return True once it is true, or False after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True

"""Notice when this machine's clock is set back: by it Nginx measures how long it leaves out a server that failed.

All else in the gateway measures with clocks that only run forward, or is written anew within a second.
"""

import time
from collections.abc import Callable

STEP_S = 1.0  # a smaller one is over before anybody notices


def ahead_s() -> float:
    """Return by how much the machine's clock is ahead of one that only runs forward; of interest are its changes."""
    return time.time() - time.monotonic()


class Clock:
    """The machine's clock, watched."""

    def __init__(self, ahead: Callable[[], float] = ahead_s) -> None:
        self._ahead = ahead
        self._last_s = ahead()

    def was_set_back(self) -> bool:
        """Return whether it was, by STEP_S or more, since the last call."""
        before, self._last_s = self._last_s, self._ahead()
        return before - self._last_s >= STEP_S

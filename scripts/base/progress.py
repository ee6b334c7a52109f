"""Show the progress through many images: one line, rewritten in place, on a terminal; several lines elsewhere."""

import sys
import time

from scripts.base.console import say

PARTS = 10  # lines without a terminal
REWRITE_S = 0.2
CLEAR = "\r\033[K"


class Progress:
    """Count images up to `total` and show the rate and the time left."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._printed, self._written_s = total, 0, 0, 0.0
        self._started_s = time.monotonic()
        self._rewrites = sys.stderr.isatty()

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started_s

    def start(self) -> None:
        """Restart the clock, once the engines are loaded."""
        self._started_s = time.monotonic()

    def advance(self) -> None:
        """Count an image, and show the progress if it is time to."""
        self._done += 1
        if self._rewrites:
            if self._done == self._total or time.monotonic() - self._written_s >= REWRITE_S:
                self._written_s = time.monotonic()
                print(f"{CLEAR}   {self}", end="", file=sys.stderr, flush=True)
        elif (tenth := PARTS * self._done // self._total) > self._printed:
            self._printed = tenth
            say(f"   {self}")

    def clear(self) -> None:
        """Erase the rewritten line."""
        if self._rewrites:
            print(CLEAR, end="", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        rate = self._done / max(self.seconds, 1e-9)
        left = round((self._total - self._done) / rate) if self._done else 0
        return f"{self._done}/{self._total} images, {rate:.1f} images/s, {left // 60}:{left % 60:02} left"

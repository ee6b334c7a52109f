"""How far an evaluation is: a line that is rewritten on a terminal, lines elsewhere."""

import sys
import time

from scripts.base.console import say

PARTS = 10  # how often there is a line where no terminal is
REWRITE_S = 0.2
CLEAR = "\r\033[K"


class Progress:
    """Counts images up to `total`; the clock runs from the first that is told."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._told, self._written_s = total, 0, 0, 0.0
        self._started_s = time.monotonic()
        self._rewrites = sys.stderr.isatty()

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started_s

    def start(self) -> None:
        """Set the clock to zero: engines have loaded."""
        self._started_s = time.monotonic()

    def one_more(self) -> None:
        """Count an image, and tell where that is due."""
        self._done += 1
        if self._rewrites:
            if self._done == self._total or time.monotonic() - self._written_s >= REWRITE_S:
                self._written_s = time.monotonic()
                print(f"{CLEAR}   {self}", end="", file=sys.stderr, flush=True)
        elif (tenth := PARTS * self._done // self._total) > self._told:
            self._told = tenth
            say(f"   {self}")

    def end(self) -> None:
        """Leave nothing of a line that was rewritten."""
        if self._rewrites:
            print(CLEAR, end="", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        rate = self._done / max(self.seconds, 1e-9)
        left = round((self._total - self._done) / rate) if self._done else 0
        return f"{self._done}/{self._total} images, {rate:.1f} images/s, {left // 60}:{left % 60:02} left"

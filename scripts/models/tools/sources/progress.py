"""Show the progress of a download: a bar on a terminal, lines elsewhere."""

import sys
from typing import Any

from tqdm import tqdm  # type: ignore[import-untyped]

from scripts.base.console import megabytes, say

LARGE_BYTES = 10_000_000  # progress is shown for files of at least this size
PARTS = 10  # lines per file


class ProgressLines:
    """Print a line for every tenth of a large file; usable as tqdm's bar and as a callback of ModelScope's client."""

    def __init__(self, _: str, total: int | None, initial: int = 0) -> None:
        self._total, self._done = total or 0, initial
        self._printed = self._tenth()

    def update(self, count: int) -> None:
        self._done += count
        if self._total >= LARGE_BYTES and self._tenth() > self._printed:
            self._printed = self._tenth()
            say(f"      {self._done / self._total:.0%} of {megabytes(self._total)}")

    def end(self) -> None:
        """Do nothing; ModelScope's client calls this at the end of a file."""

    def __enter__(self) -> "ProgressLines":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _tenth(self) -> int:
        return PARTS * self._done // self._total if self._total else 0


def progress_bar(name: str, total: int | None, initial: int) -> Any:
    """Return a context manager that shows the progress of a file of `total` bytes, `initial` of them present."""
    if not sys.stderr.isatty():
        return ProgressLines(name, total, initial)
    return tqdm(desc=name, total=total, initial=initial, unit="B", unit_scale=True)

"""How far a download is: a bar on a terminal, lines elsewhere."""

import sys
from typing import Any

from tqdm import tqdm  # type: ignore[import-untyped]

from scripts.base.console import say
from scripts.models.model_store import megabytes

LARGE = 10_000_000  # bytes from which a file's progress is told
PARTS = 10  # how often


class Lines:
    """A line for every tenth of a large file; stands in for a bar of tqdm and for a callback of ModelScope's client."""

    def __init__(self, _: str, total: int | None, initial: int = 0) -> None:
        self._total, self._done = total or 0, initial
        self._told = self._tenth()

    def update(self, count: int) -> None:
        self._done += count
        if self._total >= LARGE and self._tenth() > self._told:
            self._told = self._tenth()
            say(f"      {self._done / self._total:.0%} of {megabytes(self._total)}")

    def end(self) -> None:
        """ModelScope's client calls this at a file's end."""

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _tenth(self) -> int:
        return PARTS * self._done // self._total if self._total else 0


def bar(name: str, total: int | None, initial: int) -> Any:
    """What shows the progress of a file of `total` bytes of which `initial` are there."""
    if not sys.stderr.isatty():
        return Lines(name, total, initial)
    return tqdm(desc=name, total=total, initial=initial, unit="B", unit_scale=True)

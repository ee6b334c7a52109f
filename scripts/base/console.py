"""What commands print: short lines, flushed at once so that progress is seen as it happens."""

import sys
from collections.abc import Sequence


def say(text: str) -> None:
    print(text, flush=True)


def step(text: str) -> None:
    """One thing that is being done."""
    say(f"-- {text}")


def warn(text: str) -> None:
    print(f"!! {text}", file=sys.stderr, flush=True)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A line for each row, its columns below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )

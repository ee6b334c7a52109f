"""Output of commands: short lines, flushed at once so that progress is visible as it happens."""

import sys
from collections.abc import Sequence


def say(text: str) -> None:
    print(text, flush=True)


def step(text: str) -> None:
    """Print `text` as the step that is starting."""
    say(f"-- {text}")


def warn(text: str) -> None:
    print(f"!! {text}", file=sys.stderr, flush=True)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return `rows` as lines of text with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"


def printable(text: str) -> str:
    """Return `text` with control and other unprintable characters escaped: file names may contain any byte."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)

"""What commands print: short lines, flushed at once so that progress is seen as it happens."""

import sys


def say(text: str) -> None:
    print(text, flush=True)


def step(text: str) -> None:
    """One thing that is being done."""
    say(f"-- {text}")


def warn(text: str) -> None:
    print(f"!! {text}", file=sys.stderr, flush=True)

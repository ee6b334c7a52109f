"""`python -m tests.fuzz`: fuzz the targets, show what came out, and exit with 1 if anything failed."""

import argparse
import sys
from pathlib import Path

from tests.fuzz.runner import again, chosen, fuzz, show


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", allow_abbrev=False)
    parser.add_argument("targets", nargs="*", help="all without any")
    parser.add_argument("--minutes", type=float, default=5, help="for all targets together")
    parser.add_argument("--out", type=Path, default=Path("fuzz"), help="for failing inputs")
    parser.add_argument("--seed", type=int, default=0, help="another one draws other inputs")
    parser.add_argument("--input", type=Path, help="check this saved input alone")
    asked = parser.parse_args()
    if asked.input:
        return again(asked.input)
    try:
        targets = chosen(asked.targets)
    except ValueError as error:
        parser.error(str(error))
    outcomes = fuzz(targets, asked.out, asked.minutes * 60 / len(targets), seed=asked.seed)
    show(outcomes)
    return 1 if any(outcome.failures for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())

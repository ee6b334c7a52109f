"""`python -m tests.chaos`: run rows one after the other, print the table, and exit with 1 if a promise was broken."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from scripts.base.console import aligned, say, step
from tests.chaos.outcome import SLOWEST, Outcome, quantile
from tests.chaos.place import RATE, running
from tests.chaos.rows import ROWS

COLUMNS = ("row", "times", "requests", "failed", "p50, s", "p99, s", "worst, s", "other figures", "kept")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", allow_abbrev=False)
    parser.add_argument("rows", nargs="*", help="all without any")
    parser.add_argument("--times", type=int, default=0, help="of each disturbance (as many as in a test)")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second")
    parser.add_argument("--seed", type=int, default=0, help="of the row `drawn`")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("chaos"),
        help="for a log of every disturbance and request, and the service's logs",
    )
    options = parser.parse_args()
    names = options.rows or list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"ROWS: found {', '.join(unknown)}, needed some of {', '.join(ROWS)}")
    if options.times < 0:
        parser.error(f"TIMES: found {options.times}, needed a number from 1")
    if options.rate < 1:
        parser.error(f"RATE: found {options.rate:g}, needed a number from 1")
    options.out.mkdir(parents=True, exist_ok=True)
    lines, kept = list[Sequence[str]]([COLUMNS]), True
    with tempfile.TemporaryDirectory(prefix="wanwu-chaos-") as home:
        Path(home).chmod(0o755)
        with running(Path(home), options.rate, options.seed) as place:
            for name in names:
                step(name)
                row, times = ROWS[name]
                try:
                    outcome = row(place, options.times or times)
                except AssertionError as error:
                    outcome = Outcome(fault=str(error))
                with (options.out / f"{name}.jsonl").open("w") as log:
                    log.writelines(json.dumps(asdict(turn)) + "\n" for turn in outcome.turns)
                    log.writelines(json.dumps(asdict(one)) + "\n" for one in outcome.sent)
                lines.append(line(name, options.times or times, outcome))
                kept &= outcome.kept_in_time
            shutil.copytree(place.service.run_dir / "logs", options.out / "logs", dirs_exist_ok=True)
    table = aligned(lines)
    (options.out / "table.txt").write_text(table + "\n")
    say(table)
    return 0 if kept else 1


def line(name: str, times: int, outcome: Outcome) -> tuple[str, ...]:
    """Return a row of the table."""
    seconds = [f"{quantile(outcome.sent, share):.2f}" for share in (0.5, SLOWEST, 1.0)]
    lost = " ".join(f"{what}:{count}" for what, count in sorted(outcome.lost.items())) or "0"
    beyond = outcome.beyond(outcome.bounds | outcome.paced)
    needed = {name: f" ({fault})" for name, fault in beyond.items()}
    figures = ", ".join(f"{key} {value:.3g}{needed.get(key, '')}" for key, value in outcome.figures.items()) or "-"
    figures = outcome.fault or figures
    return name, str(times), str(len(outcome.sent)), lost, *seconds, figures, "yes" if outcome.kept_in_time else "NO"


if __name__ == "__main__":
    sys.exit(main())

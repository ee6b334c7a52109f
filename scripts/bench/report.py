"""Render the results as Markdown that also reads as plain text. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.bench.goals import Goal
from scripts.bench.summary import Row
from scripts.bench.targets import Target

HEADER = (
    "target",
    "load",
    "images/s",
    "lowest-highest",
    "p50 ms",
    "p99 ms",
    "errors",
    "CPU ms/image",
    "client CPU ms",
    "MB/worker",
    "start s",
)


@dataclass(frozen=True)
class Run:
    """One run: `about` is shown above the table, `notes` below it; `faults` are of the targets that did not start."""

    about: Sequence[str]
    targets: Sequence[Target]
    rows: Sequence[Row]
    faults: Mapping[str, str]
    goals: Sequence[Goal]
    notes: Sequence[str]


def markdown(run: Run) -> str:
    """Return the report."""
    titles = {target.name: target.title for target in run.targets}
    failed = [(titles[name], "did not start", *[""] * (len(HEADER) - 2)) for name in run.faults]
    parts = [
        "# Benchmark results",
        "\n".join(f"- {line}" for line in run.about),
        table(HEADER, [*(cells(row, titles) for row in run.rows), *failed]),
        *run.faults.values(),
        "\n".join(f"- {line}" for line in run.notes),
        "## Goals",
        table(("goal", "needed", "measured", ""), [goal_cells(goal) for goal in run.goals]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def cells(row: Row, titles: Mapping[str, str]) -> Sequence[str]:
    load = row.load + (f" ({row.offered:.0f}/s)" if row.offered is not None else "")
    return (
        titles[row.target],
        load,
        f"{row.rate:.1f}",
        f"{row.lowest:.0f}-{row.highest:.0f}",
        f"{row.p50_ms:.1f}",
        f"{row.p99_ms:.1f}",
        str(row.errors),
        f"{row.cpu_ms:.2f}",
        f"{row.client_cpu_ms:.2f}",
        f"{row.memory_mb:.0f}" if row.memory_mb else "",
        f"{row.startup_s:.1f}" if row.startup_s else "",
    )


def goal_cells(goal: Goal) -> Sequence[str]:
    needed = f"{'at most' if goal.at_most else 'at least'} {goal.format.format(goal.needed)}"
    measured = "" if goal.measured is None else goal.format.format(goal.measured)
    return goal.name, needed, measured, goal.verdict


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns; all but the first two are numbers, aligned to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    rule = [("-" * (width - 1) + ":") if column > 1 else "-" * width for column, width in enumerate(widths)]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if column > 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(header), line(rule), *map(line, rows)])

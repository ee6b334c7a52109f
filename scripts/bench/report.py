"""What was measured as Markdown that also reads as plain text. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.bench.figures import Figure
from scripts.bench.summary import Row
from scripts.bench.targets import Subject

HEAD = (
    "measured", "load", "images/s", "lowest-highest", "p50 ms", "p99 ms", "errors", "CPU ms/image", "client CPU ms",
    "MB/worker", "start s",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """All of one run; `about` is said above the table, `notes` below it, `faults` by subject that did not start."""

    about: Sequence[str]
    subjects: Sequence[Subject]
    rows: Sequence[Row]
    faults: Mapping[str, str]
    figures: Sequence[Figure]
    notes: Sequence[str]


def markdown(run: Run) -> str:
    """The whole report."""
    titles = {subject.name: subject.title for subject in run.subjects}
    failed = [(titles[name], "did not start", *[""] * (len(HEAD) - 2)) for name in run.faults]
    parts = [
        "# What was measured", "\n".join(f"- {line}" for line in run.about),
        table(HEAD, [*(cells(row, titles) for row in run.rows), *failed]),
        *run.faults.values(),
        "\n".join(f"- {line}" for line in run.notes),
        "## Figures to reach", table(("figure", "wanted", "seen", ""), [verdict(figure) for figure in run.figures]),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def cells(row: Row, titles: Mapping[str, str]) -> Sequence[str]:
    load = row.load + (f" ({row.offered:.0f}/s)" if row.offered is not None else "")
    return (
        titles[row.subject], load, f"{row.rate:.1f}", f"{row.lowest:.0f}-{row.highest:.0f}", f"{row.p50_ms:.1f}",
        f"{row.p99_ms:.1f}", str(row.errors), f"{row.cpu_ms:.2f}", f"{row.client_cpu_ms:.2f}",
        f"{row.memory_mb:.0f}" if row.memory_mb else "", f"{row.startup_s:.1f}" if row.startup_s else "",
    )  # fmt: skip


def verdict(figure: Figure) -> Sequence[str]:
    wanted = f"{'at most' if figure.at_most else 'at least'} {figure.form.format(figure.wanted)}"
    return figure.name, wanted, "" if figure.seen is None else figure.form.format(figure.seen), figure.verdict


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table in columns of even width; all but the first two are numbers, to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    rule = [("-" * (width - 1) + ":") if column > 1 else "-" * width for column, width in enumerate(widths)]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if column > 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(head), line(rule), *map(line, rows)])

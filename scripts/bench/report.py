"""Render the results as Markdown that also reads as plain text. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

from scripts.base.console import aligned
from scripts.bench.goals import Goal
from scripts.bench.results import Results
from scripts.bench.targets import BASELINE, Load

# The columns that hold the median of an attribute of the samples, and how they show it.
QUANTITIES = {
    "images/s": ("rate", ".1f"), "p50 ms": ("p50_ms", ".1f"), "p99 ms": ("p99_ms", ".1f"),
    "CPU ms/image": ("cpu_ms", ".2f"), "engine ms": ("engine_ms", ".2f"), "libjpeg ms": ("jpeg_ms", ".2f"),
    "MB at rest": ("rest", ".0f"), "MB peak": ("peak", ".0f"), "MB anonymous": ("anonymous", ".0f"),
}  # fmt: skip
HEADER = ["target", "MP", "load", "x baseline", *QUANTITIES, "errors"]
Lines = Sequence[str]


def markdown(about: Lines, results: Results, faults: Mapping[str, str], goals: Sequence[Goal], notes: Lines) -> str:
    """Return the report: `about` above the results, `notes` below; `faults` are of the targets that did not start."""
    failed = [[results.targets[name].title, "", "failed", *[""] * (len(HEADER) - 3)] for name in faults]
    parts = [
        "# Benchmark results",
        "\n".join(f"- {line}" for line in about),
        _table([HEADER, *(_row(results, name, load) for name, load in results.rows), *failed]),
        *faults.values(),
        "\n".join(f"- {line}" for line in notes),
        "## Goals",
        _table([("goal", "needed", "measured", ""), *(goal.cells for goal in goals)]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(results: Results, name: str, load: Load) -> list[str]:
    samples, ratio = results.rows[name, load], None if load.open else results.ratio(name, BASELINE, load)
    medians = [(median(getattr(one, key) for one in samples), form) for key, form in QUANTITIES.values()]
    errors = sum((Counter(sample.errors) for sample in samples), Counter[str]())
    return [
        *(results.targets[name].title, load.size, load.label, f"{ratio:.2f}" if ratio else ""),
        *(format(value, form) if value else "" for value, form in medians),
        ", ".join(f"{count} x {kind}" for kind, count in errors.most_common(3)),
    ]


def _table(rows: Sequence[Sequence[str]]) -> str:
    return f"```text\n{aligned(rows)}\n```"

"""Render the results as Markdown that also reads as plain text. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from scripts.base.console import aligned
from scripts.bench.goals import Goal
from scripts.bench.results import Results, Sample
from scripts.bench.targets import Load

# The columns that hold the median of a quantity, and how they show it.
QUANTITIES: Mapping[str, tuple[str, Callable[[Sample], float]]] = {
    "images/s": ("{:.1f}", lambda sample: sample.rate),
    "p50 ms": ("{:.1f}", lambda sample: sample.p50_ms),
    "p99 ms": ("{:.1f}", lambda sample: sample.p99_ms),
    "CPU ms/image": ("{:.2f}", lambda sample: sample.cpu_ms),
    "MB at rest": ("{:.0f}", lambda sample: sample.at_rest.rss),
    "peak MB": ("{:.0f}", lambda sample: sample.loaded.peak),
    "anonymous MB": ("{:.0f}", lambda sample: sample.loaded.anonymous),
}
HEADER = ["target", "MP", "load", "x baseline", *QUANTITIES, "errors"]
Lines = Sequence[str]


def markdown(about: Lines, results: Results, faults: Mapping[str, str], goals: Sequence[Goal], notes: Lines) -> str:
    """Return the report: `about` above the results, `notes` below; `faults` are of the targets that did not start."""
    failed = [[results.targets[name].title, "", "failed", *[""] * (len(HEADER) - 3)] for name in faults]
    rows = [_row(results, name, load) for name, load in results.rows]
    parts = [
        "# Benchmark results",
        _list(about),
        _table([HEADER, *rows, *failed]),
        *faults.values(),
        _list(notes),
        "## Goals",
        _table([("goal", "needed", "measured", ""), *(goal.cells for goal in goals)]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(results: Results, name: str, load: Load) -> list[str]:
    samples = results.rows[name, load]
    ratio = None if load.open else results.to_baseline(name, load)
    errors = sum((Counter(sample.errors) for sample in samples), Counter[str]())
    medians = [(form, median(map(quantity, samples))) for form, quantity in QUANTITIES.values()]
    return [
        *(results.targets[name].title, load.size, load.label, f"{ratio:.2f}" if ratio else ""),
        *(form.format(value) if value else "" for form, value in medians),
        ", ".join(f"{count} x {kind}" for kind, count in errors.most_common(3)),
    ]


def _list(lines: Lines) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(rows: Sequence[Sequence[str]]) -> str:
    return f"```text\n{aligned(rows)}\n```"

"""Render the results as Markdown that also reads as plain text. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from scripts.base.console import aligned
from scripts.bench.goals import Goal
from scripts.bench.procfs import Memory
from scripts.bench.results import Results, Sample
from scripts.bench.targets import LARGEST, WORKER, Load

# The columns that hold the median of a quantity, and how they show it.
QUANTITIES: Mapping[str, tuple[str, Callable[[Sample], float]]] = {
    "images/s": ("{:.1f}", lambda sample: sample.rate),
    "p50 ms": ("{:.1f}", lambda sample: sample.p50_ms),
    "p99 ms": ("{:.1f}", lambda sample: sample.p99_ms),
    "CPU ms/image": ("{:.2f}", lambda sample: sample.cpu_ms),
    "peak MB": ("{:.0f}", lambda sample: sample.loaded.peak),
}
HEADER = ["target", "MP", "load", "x baseline", *QUANTITIES, "errors"]
Lines = Sequence[str]


def markdown(about: Lines, results: Results, faults: Mapping[str, str], goals: Sequence[Goal], notes: Lines) -> str:
    """Return the report: `about` above the results, `notes` below; `faults` are of the targets that did not start."""
    failed = [[results.targets[name].title, "", "failed", *[""] * (len(HEADER) - 3)] for name in faults]
    rows = [_row(results, name, load) for name, load in results.rows]
    parts = [
        "# Benchmark results",
        "\n".join(f"- {line}" for line in about),
        _table([HEADER, *rows, *failed]),
        *faults.values(),
        "\n".join(f"- {line}" for line in [*notes, *_memory_lines(results)]),
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


def _memory_lines(results: Results) -> list[str]:
    """Return what the memory of each single worker is, at rest and after the load of the largest images."""

    def text(memories: Sequence[Memory]) -> str:
        rss, anonymous = (median(getattr(one, part) for one in memories) for part in ("rss", "anonymous"))
        return f"{rss:.0f} MB, {anonymous:.0f} of weights, heap and buffers, {rss - anonymous:.0f} of libraries"

    return [
        f"resident memory of {results.targets[name].title}, both its processes: "
        f"at rest {text([one.at_rest for one in samples])}; "
        f"after {LARGEST} MP load {text([one.loaded for one in samples])}"
        for (name, load), samples in results.rows.items()
        if results.targets[name].kind == WORKER and load == Load(LARGEST)
    ]


def _table(rows: Sequence[Sequence[str]]) -> str:
    return f"```text\n{aligned(rows)}\n```"

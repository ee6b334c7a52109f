"""Render the results as Markdown that also reads as plain text. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from scripts.bench.goals import Goal
from scripts.bench.results import Results, Sample
from scripts.bench.targets import LARGEST, Load

TITLES = "target|MP|load|x baseline|images/s|lowest-highest|p50 ms|p99 ms|CPU ms/image|client CPU ms|MB/worker|errors"
TEXT = {"", "target", "load", "errors", "goal"}  # the other columns hold numbers


@dataclass(frozen=True)
class Run:
    """One run: `about` is shown above the table, `notes` below it; `faults` are of the targets that did not start."""

    about: Sequence[str]
    results: Results
    faults: Mapping[str, str]
    goals: Sequence[Goal]
    notes: Sequence[str]


def markdown(run: Run) -> str:
    """Return the report."""
    header, targets = TITLES.split("|"), run.results.targets
    failed = [(targets[name].title, "", "failed", *[""] * (len(header) - 3)) for name in run.faults]
    rows = [row_cells(run.results, name, load) for name, load in run.results.rows]
    goals = [(goal.name, goal.needed_text, goal.measured_text, goal.verdict) for goal in run.goals]
    parts = [
        "# Benchmark results",
        "\n".join(f"- {line}" for line in run.about),
        table(header, [*rows, *failed]),
        *run.faults.values(),
        "\n".join(f"- {line}" for line in [*run.notes, *memory_lines(run.results)]),
        "## Goals",
        table(("goal", "needed", "measured", ""), goals),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def row_cells(results: Results, name: str, load: Load) -> Sequence[str]:
    samples = results.rows[name, load]
    ratio = None if load.open else results.to_baseline(name, load)
    rates = [sample.rate for sample in samples]
    numbers = [
        form.format(median(getattr(sample, quantity) for sample in samples))
        for quantity, form in (
            ("p50_ms", "{:.1f}"),
            ("p99_ms", "{:.1f}"),
            ("cpu_ms", "{:.2f}"),
            ("client_cpu_ms", "{:.2f}"),
        )
    ]
    memory, errors = median(sample.loaded.pss for sample in samples), Counter[str]()
    for sample in samples:
        errors.update(sample.errors)
    return (
        results.targets[name].title, load.size, load.label, f"{ratio:.2f}" if ratio else "", f"{median(rates):.1f}",
        f"{min(rates):.0f}-{max(rates):.0f}", *numbers, f"{memory:.0f}" if memory else "",
        ", ".join(f"{count} x {kind}" for kind, count in errors.most_common(3) if count),
    )  # fmt: skip


def memory_lines(results: Results) -> list[str]:
    """Return what the memory of each single worker is, at rest and under the load of the largest images."""

    def text(name: str, attribute: str, samples: Sequence[Sample]) -> str:
        memories = [getattr(sample, attribute) for sample in samples]
        rss, pss, anonymous = (median(getattr(one, part) for one in memories) for part in ("rss", "pss", "anonymous"))
        return (
            f"memory of {name}: RSS {rss:.0f} MB, PSS {pss:.0f} MB: {anonymous:.0f} of weights, heap and buffers, "
            f"{pss - anonymous:.0f} of libraries and files"
        )

    loads = {"at rest": ("at_rest", Load()), f"under {LARGEST} MP load": ("loaded", Load(LARGEST))}
    return [
        text(f"{target.title}, {title}", attribute, results.rows[target.name, load])
        for target in results.targets.values()
        for title, (attribute, load) in loads.items()
        if target.one_slot and results.median(target.name, load, lambda sample: sample.loaded.pss)
    ]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns; numbers are aligned to the right."""
    widths = [max(3, *map(len, column)) for column in zip(header, *rows, strict=True)]
    signs = ["<" if name in TEXT else ">" for name in header]
    rule = ["-" * width if sign == "<" else "-" * (width - 1) + ":" for width, sign in zip(widths, signs, strict=True)]
    lines = [
        [f"{cell:{sign}{width}}" for cell, sign, width in zip(row, signs, widths, strict=True)]
        for row in (header, *rows)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])

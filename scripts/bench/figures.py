"""The figures this project wants to reach, held against what one run saw. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.bench.summary import Row
from scripts.bench.targets import CLIENTS, DOCUMENTED, Load
from worker.contract.engine import AGREEMENT, QUANTISED, QUANTISED_AGREEMENT

SAME_ENGINE = "mosec-engine"
READY_S, MEMORY_MB = 2.0, 250.0


@dataclass(frozen=True)
class Figure:
    """What is `wanted` of a quantity, at least or `at_most`, and what was `seen`; None where it was not measured."""

    name: str
    wanted: float
    seen: float | None
    at_most: bool = False
    form: str = "{:.2f}"

    @property
    def verdict(self) -> str:
        if self.seen is None:
            return "not measured"
        good = self.seen <= self.wanted if self.at_most else self.seen >= self.wanted
        return "reached" if good else "NOT reached"


@dataclass(frozen=True)
class Model:
    """The reference model as it is served: what runs it, how it agrees with torch in f32, and a worker's start.

    `difference` is the largest of a score, over so many `images`.
    """

    engine: str
    precision: str
    agreement: float
    difference: float
    images: int
    ready_s: float

    @property
    def quantised(self) -> bool:
        return self.precision == QUANTISED


class Seen:
    """The rows of a run, by subject, at the load that all subjects get."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def row(self, subject: str) -> Row | None:
        """The row of `subject`; of several batch sizes in process the fastest; None for one that gave no answer."""
        found = [row for row in self.rows if row.subject == subject and row.rate]
        usual = [row for row in found if row.load == Load(CLIENTS).label]
        return max(usual or found, key=lambda row: row.rate, default=None)

    def ratio(self, one: str, other: str, what: str = "rate", times: int = 1) -> float | None:
        """`one` divided by `other` (taken `times`); None where either is missing."""
        upper, lower = self.row(one), self.row(other)
        return getattr(upper, what) / getattr(lower, what) / times if upper and lower else None

    def best(self, subjects: Sequence[str]) -> str:
        """The fastest of `subjects`; "" where none was measured."""
        rates = {subject: row.rate for subject in subjects if (row := self.row(subject))}
        return max(rates, key=lambda subject: rates[subject], default="")


def figures(rows: Sequence[Row], workers: int, peers: Sequence[str], model: Model) -> list[Figure]:
    """Every figure of a service with so many workers; `peers` are the subjects that are as documented."""
    seen = Seen(rows)
    worker, best = seen.row("worker"), seen.best(peers)
    named = f" ({best.removesuffix(DOCUMENTED)})" if best else ""
    least = QUANTISED_AGREEMENT if model.quantised else AGREEMENT
    return [
        Figure("behind Nginx, all workers: times the articles' way", 6, seen.ratio("service", "article")),
        Figure(f"behind Nginx: times the best peer as documented{named}", 6, seen.ratio("service", best)),
        Figure("one worker: times MOSEC with the same engine, same core", 1, seen.ratio("worker", SAME_ENGINE)),
        Figure("one worker: its p99, times MOSEC's", 1, seen.ratio("worker", SAME_ENGINE, "p99_ms"), at_most=True),
        Figure("one worker over HTTP: times in process", 0.95, seen.ratio("worker", "inside")),
        Figure(f"behind Nginx: times {workers} workers alone", 0.9, seen.ratio("service", "worker", times=workers)),
        Figure("f32 only: times the articles' way", 1.6, seen.ratio("f32", "article")),
        Figure("MobileNetV3-small: times the articles' way", 2.3, seen.ratio("small", "small-article")),
        Figure("top-1 agreement with torch f32", least, model.agreement, form="{:.1%}"),
        Figure("a worker's start until ready, s", READY_S, model.ready_s, at_most=True),
        Figure("a worker's memory, MB", MEMORY_MB, worker.memory_mb if worker else None, at_most=True, form="{:.0f}"),
    ]

"""The project's performance goals, compared with the results of one run. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.bench.summary import Row
from scripts.bench.targets import CLIENTS, DOCUMENTED, Load
from worker.contract.engine import AGREEMENT, QUANTISED, QUANTISED_AGREEMENT

SAME_ENGINE = "mosec-engine"
READY_S, MEMORY_MB = 2.0, 250.0


@dataclass(frozen=True)
class Goal:
    """A quantity to be at least, or `at_most`, `needed`; `measured` is None if it was not measured."""

    name: str
    needed: float
    measured: float | None
    at_most: bool = False
    format: str = "{:.2f}"

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        reached = self.measured <= self.needed if self.at_most else self.measured >= self.needed
        return "reached" if reached else "NOT reached"


@dataclass(frozen=True)
class ServedModel:
    """The reference model as it is served: its engine, its agreement with torch in f32, and a worker's start-up time.

    `difference` is the largest difference of a score over `images` images.
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


class Results:
    """The rows of a run, by target, at the load that all targets get."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def row(self, target: str) -> Row | None:
        """Return the target's row, in process the one of the fastest batch size; None if it answered nothing."""
        answered = [row for row in self.rows if row.target == target and row.rate]
        common = [row for row in answered if row.load == Load(CLIENTS).label]
        return max(common or answered, key=lambda row: row.rate, default=None)

    def ratio(self, one: str, other: str, quantity: str = "rate", times: int = 1) -> float | None:
        """Return `one` divided by `times` the `other`; None if either is missing."""
        upper, lower = self.row(one), self.row(other)
        return getattr(upper, quantity) / getattr(lower, quantity) / times if upper and lower else None

    def best(self, targets: Sequence[str]) -> str:
        """Return the fastest of `targets`; "" if none was measured."""
        rates = {target: row.rate for target in targets if (row := self.row(target))}
        return max(rates, key=lambda target: rates[target], default="")


def goals(rows: Sequence[Row], workers: int, peers: Sequence[str], model: ServedModel) -> list[Goal]:
    """Return every goal of a service with `workers` workers; `peers` are the targets run as documented."""
    results = Results(rows)
    worker, best = results.row("worker"), results.best(peers)
    best_name = f" ({best.removesuffix(DOCUMENTED)})" if best else ""
    agreement = QUANTISED_AGREEMENT if model.quantised else AGREEMENT
    memory_mb = worker.memory_mb if worker else None
    p99_ratio = results.ratio("worker", SAME_ENGINE, "p99_ms")
    workers_ratio = results.ratio("service", "worker", times=workers)
    return [
        Goal("behind Nginx, all workers: times the baseline", 6, results.ratio("service", "baseline")),
        Goal(f"behind Nginx: times the best peer as documented{best_name}", 6, results.ratio("service", best)),
        Goal("one worker: times MOSEC with the same engine, same core", 1, results.ratio("worker", SAME_ENGINE)),
        Goal("one worker: p99, times MOSEC's", 1, p99_ratio, at_most=True),
        Goal("one worker over HTTP: times in process", 0.95, results.ratio("worker", "in-process")),
        Goal(f"behind Nginx: times {workers} workers alone", 0.9, workers_ratio),
        Goal("f32 only: times the baseline", 1.6, results.ratio("f32", "baseline")),
        Goal("MobileNetV3-small: times its baseline", 2.3, results.ratio("small", "small-baseline")),
        Goal("top-1 agreement with torch f32", agreement, model.agreement, format="{:.1%}"),
        Goal("a worker's start until ready, s", READY_S, model.ready_s, at_most=True),
        Goal("a worker's memory, MB", MEMORY_MB, memory_mb, at_most=True, format="{:.0f}"),
    ]

"""Samples of the rounds, their medians, and the ratios to the baseline of the same round. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from scripts.bench.procfs import Memory
from scripts.bench.targets import BASELINE, BASELINES, Load, Target

NO_MEMORY = Memory()


@dataclass(frozen=True)
class Sample:
    """One load on one target in one round.

    `rate` is answers/s; `errors` counts by kind, those of the answers checked before the load included; `cpu_ms` is
    the CPU time of all the server's processes per image, `client_cpu_ms` the client's, `engine_ms` and `jpeg_ms` that
    of engine and libjpeg (in process only); `at_rest` and `loaded` are the memory per worker, the most under load.
    """

    target: str
    load: Load
    rate: float
    p50_ms: float
    p99_ms: float
    errors: Mapping[str, int] = field(default_factory=dict)
    cpu_ms: float = 0.0
    client_cpu_ms: float = 0.0
    engine_ms: float = 0.0
    jpeg_ms: float = 0.0
    at_rest: Memory = NO_MEMORY
    loaded: Memory = NO_MEMORY
    latencies_ms: Sequence[float] = ()
    round: int = 0


class Results:
    """The samples of a run, by target and load in the targets' order."""

    def __init__(self, samples: Sequence[Sample], targets: Sequence[Target]) -> None:
        self.samples, self.targets = samples, {target.name: target for target in targets}
        self.rows: dict[tuple[str, Load], list[Sample]] = {}
        for sample in sorted(samples, key=lambda one: list(self.targets).index(one.target)):
            self.rows.setdefault((sample.target, sample.load), []).append(sample)

    def median(self, target: str, load: Load, quantity: Callable[[Sample], float]) -> float | None:
        """Return the median of `quantity` over the rounds, None if the target answered nothing under this load."""
        values = [quantity(sample) for sample in self.rows.get((target, load), ()) if sample.rate]
        return median(values) if values else None

    def ratio(self, one: str, other: str, load: Load, name: str = "rate") -> float | None:
        """Return the median of the ratios of `one` to the `other` in the same round; None without such a round."""
        others = {sample.round: getattr(sample, name) for sample in self.rows.get((other, load), ()) if sample.rate}
        samples = [sample for sample in self.rows.get((one, load), ()) if sample.rate and sample.round in others]
        return median(getattr(sample, name) / others[sample.round] for sample in samples) if samples else None

    def to_baseline(self, target: str, load: Load) -> float | None:
        """Return the target's rate as a multiple of its model's baseline."""
        return self.ratio(target, f"{BASELINE}-{BASELINES[self.targets[target].model]}", load)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile: the smallest of `values` that `share` of them do not exceed; 0 if empty."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)] if ordered else 0.0

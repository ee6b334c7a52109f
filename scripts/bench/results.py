"""Samples of the rounds, their medians, and the ratios to the baseline of the same round. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from scripts.bench.procfs import Memory
from scripts.bench.targets import BASELINE, BASELINES, Load, Target


@dataclass(frozen=True)
class Sample:
    """One load on one target in one round.

    `rate` is right answers/s; `errors` counts the others by kind; `cpu_ms` is the CPU time of all the server's
    processes per image, `engine_ms` and `jpeg_ms` that of engine and libjpeg (in process only); `at_rest` is the
    server's memory before any load, `loaded` that after this one.
    """

    target: str
    load: Load
    rate: float
    cpu_ms: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    errors: Mapping[str, int] = field(default_factory=dict)
    engine_ms: float = 0.0
    jpeg_ms: float = 0.0
    at_rest: Memory = Memory()  # noqa: RUF009 - immutable
    loaded: Memory = Memory()  # noqa: RUF009
    round: int = 0


class Results:
    """The samples of a run, by target and load in the targets' order."""

    def __init__(self, samples: Sequence[Sample], targets: Sequence[Target]) -> None:
        self.targets = {target.name: target for target in targets}
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

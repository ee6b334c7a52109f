"""From samples to what is reported: percentiles, and medians over the rounds. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import median


@dataclass(frozen=True)
class Sample:
    """One load on one subject in one round.

    `rate` is answered images a second; `p50_ms` and `p99_ms` are of the answers' times; `errors` counts by status or
    kind; `cpu_ms` is processor time of all the server's processes for an image, `client_cpu_ms` the client's;
    `memory_mb` is what a worker holds, all processes divided among the workers; `stolen` the share of the time that
    the hypervisor took; `offered` the rate of an open loop.
    """

    subject: str
    load: str
    round: int
    rate: float
    p50_ms: float
    p99_ms: float
    errors: Mapping[str, int] = field(default_factory=dict)
    cpu_ms: float = 0.0
    client_cpu_ms: float = 0.0
    memory_mb: float = 0.0
    startup_s: float = 0.0
    stolen: float = 0.0
    offered: float | None = None
    latencies_ms: Sequence[float] = ()


@dataclass(frozen=True)
class Row:
    """The medians of one subject and load over the rounds; `errors` are summed."""

    subject: str
    load: str
    rate: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_ms: float
    client_cpu_ms: float
    memory_mb: float
    startup_s: float
    stolen: float
    offered: float | None
    lowest: float
    highest: float


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed; 0 of none (nearest rank)."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def rows(samples: Iterable[Sample]) -> list[Row]:
    """A row for every subject and load, in the order of their first samples."""
    samples = list(samples)
    order = list(dict.fromkeys((sample.subject, sample.load) for sample in samples))
    by_place = sorted(samples, key=lambda sample: order.index((sample.subject, sample.load)))
    return [
        _row(subject, load, list(group))
        for (subject, load), group in groupby(by_place, lambda sample: (sample.subject, sample.load))
    ]


def _row(subject: str, load: str, samples: Sequence[Sample]) -> Row:
    def middle(name: str) -> float:
        return median(getattr(sample, name) for sample in samples)

    rates = [sample.rate for sample in samples]
    return Row(
        subject, load, median(rates), middle("p50_ms"), middle("p99_ms"),
        sum(sum(sample.errors.values()) for sample in samples), middle("cpu_ms"), middle("client_cpu_ms"),
        middle("memory_mb"), middle("startup_s"), middle("stolen"),
        None if samples[0].offered is None else middle("offered"), min(rates), max(rates),
    )  # fmt: skip

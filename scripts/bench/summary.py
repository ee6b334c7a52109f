"""Summarise samples: percentiles, and medians over the rounds. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Sample:
    """One load on one target in one round.

    `rate` is answered images/s; `p50_ms` and `p99_ms` are percentiles of the latency; `errors` counts by status or
    exception; `cpu_ms` is the CPU time of all the server's processes per image, `client_cpu_ms` the client's;
    `memory_mb` is the memory of all processes divided by the number of workers; `stolen` is the share of the time
    that the hypervisor took; `offered` is the rate of an open loop.
    """

    target: str
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
    """The medians of one target and load over the rounds; `errors` are summed."""

    target: str
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
    """Return the nearest-rank percentile: the smallest of `values` that `share` of them do not exceed; 0 if empty."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def rows(samples: Iterable[Sample]) -> list[Row]:
    """Return a row for every target and load, in the order of their first samples."""
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.target, sample.load), []).append(sample)
    return [_row(target, load, group) for (target, load), group in groups.items()]


def _row(target: str, load: str, samples: Sequence[Sample]) -> Row:
    def median_of(name: str) -> float:
        return median(getattr(sample, name) for sample in samples)

    rates = [sample.rate for sample in samples]
    return Row(
        target=target,
        load=load,
        rate=median(rates),
        p50_ms=median_of("p50_ms"),
        p99_ms=median_of("p99_ms"),
        errors=sum(sum(sample.errors.values()) for sample in samples),
        cpu_ms=median_of("cpu_ms"),
        client_cpu_ms=median_of("client_cpu_ms"),
        memory_mb=median_of("memory_mb"),
        startup_s=median_of("startup_s"),
        stolen=median_of("stolen"),
        offered=None if samples[0].offered is None else median_of("offered"),
        lowest=min(rates),
        highest=max(rates),
    )

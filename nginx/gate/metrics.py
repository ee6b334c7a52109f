"""The gate's own metrics: the one table that declares them, and their samples. All pure.

The workers declare theirs in worker/process/metrics.py; the gate hands those on as it finds them (exposition.py).
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .exposition import Family, labels, sample

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


@dataclass(frozen=True)
class Metric:
    """What a metric is: its name without the prefix, its type, its labels in order, and its help."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


PREFIX = "wanwu_gateway_"
WORKER = ("model", "worker")
METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "requests_total",
            COUNTER,
            (*WORKER, "status"),
            "Requests that a worker answered, and those that failed without one, whose `worker` is empty.",
        ),
        Metric(
            "retries_total", COUNTER, WORKER, "Requests that were handed to another worker, by the one that failed."
        ),
        Metric(
            "first_byte_seconds",
            HISTOGRAM,
            ("model",),
            "Seconds from handing a request to a worker to the first byte of its answer, failed attempts included.",
        ),
        Metric("ejections_total", COUNTER, WORKER, "Ejections of a worker whose answers alone failed."),
        Metric(
            "golden_trials_total",
            COUNTER,
            (*WORKER, "result"),
            "Golden images that a suspicious worker was tried on: passed or failed.",
        ),
        Metric(
            "broken_total",
            COUNTER,
            WORKER,
            "Times that a worker called itself broken: its golden images, its engine or its model failed.",
        ),
        Metric("worker_in", GAUGE, (*WORKER, "slot"), "1 while a worker is in rotation, else 0."),
        Metric("worker_state", GAUGE, (*WORKER, "slot", "state"), "Always 1; the label has the worker's state."),
        Metric("model_ready", GAUGE, ("model",), "1 while a model has a worker in rotation, else 0."),
        Metric("status_timestamp_seconds", GAUGE, (), "When the status was written, which is due every second."),
        Metric("list_timestamp_seconds", GAUGE, (), "When Nginx loaded its list of workers."),
        Metric("list_refused", GAUGE, (), "1 while Nginx works with an older list, because it has refused the newest."),
        Metric("lists_refused_total", COUNTER, (), "Lists that Nginx has refused, or could not load."),
        Metric("members_refused", GAUGE, (), "1 while members.json or keys.json cannot be used, and former ones hold."),
        Metric("connections", GAUGE, ("state",), "Nginx's connections with clients when it last answered a request."),
        Metric(
            "certificate_end_timestamp_seconds", GAUGE, (), "When the certificate or its chain ends; only with TLS."
        ),
        Metric("disk_free_bytes", GAUGE, (), "Free space of the disk that holds the run directory."),
        Metric("disk_size_bytes", GAUGE, (), "Size of that disk."),
        Metric("target_seconds", GAUGE, (), "The wanted 99th percentile of the first byte: [metrics] target_ms."),
        Metric("start_timestamp_seconds", GAUGE, (), "When the gate was started."),
    )
}
CONNECTION_STATES = ("active", "reading", "writing", "waiting")
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25)

Values = tuple[str, ...]  # of a metric's labels, in their order


@dataclass
class Histogram:
    """How many values were at most each of BOUNDS_S and above the one before, and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum: float = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(BOUNDS_S, value)] += 1
        self.sum += value


@dataclass
class Recorded:
    """What was counted since the gate started, by metric and labels, and what holds now."""

    counters: dict[str, Counter[Values]] = field(
        default_factory=lambda: {metric.name: Counter() for metric in METRICS.values() if metric.kind == COUNTER}
    )
    histograms: dict[str, dict[Values, Histogram]] = field(
        default_factory=lambda: {metric.name: {} for metric in METRICS.values() if metric.kind == HISTOGRAM}
    )
    gauges: dict[str, dict[Values, float]] = field(default_factory=dict)

    def forget_workers(self, known: set[str]) -> None:
        """Forget the counts of workers that are not `known`."""
        for name, counter in self.counters.items():
            if "worker" in METRICS[name].labels:
                at = METRICS[name].labels.index("worker")
                for values in [values for values in counter if values[at] and values[at] not in known]:
                    del counter[values]


def worker_gauges(status: Mapping[str, Any]) -> dict[str, dict[Values, float]]:
    """Return the gauges that the body of GET /status tells."""
    rows = [(worker["model"], worker["worker"], worker["slot"], worker) for worker in status["workers"]]
    return {
        "worker_in": {(model, name, slot): float(worker["in"]) for model, name, slot, worker in rows},
        "worker_state": {(model, name, slot, worker["state"]): 1.0 for model, name, slot, worker in rows},
        "model_ready": {(model["name"],): float(model["ready"]) for model in status["models"]},
    }


def families(recorded: Recorded) -> dict[str, Family]:
    """Return the gate's own families."""
    found = {}
    for metric in METRICS.values():
        lines = "".join(_samples(metric, recorded))
        if lines or metric.kind == COUNTER:
            found[PREFIX + metric.name] = Family(metric.kind, metric.help, lines)
    return found


def _samples(metric: Metric, recorded: Recorded) -> Iterator[str]:
    name = PREFIX + metric.name
    if metric.kind == HISTOGRAM:
        for values, histogram in recorded.histograms[metric.name].items():
            yield from _histogram(name, _text(metric, values), histogram)
        return
    by_kind: Mapping[str, Mapping[Values, float]] = recorded.counters if metric.kind == COUNTER else recorded.gauges
    rows = by_kind.get(metric.name, {})
    if metric.kind == COUNTER and not metric.labels:
        rows = rows or {(): 0}  # so that its first rise is one
    for values, value in rows.items():
        yield sample(name, _text(metric, values), value)


def _histogram(name: str, text: str, histogram: Histogram) -> Iterator[str]:
    total = 0
    for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), histogram.counts, strict=True):
        total += count
        yield sample(f"{name}_bucket", f'{text},le="{bound}"', total)
    yield sample(f"{name}_sum", text, histogram.sum)
    yield sample(f"{name}_count", text, total)


def _text(metric: Metric, values: Values) -> str:
    return labels(dict(zip(metric.labels, values, strict=True)))

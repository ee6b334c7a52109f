"""Prometheus metrics of one worker: base units, prefix `wanwu_`. The gate hands on what `create_metrics` declares."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

from worker.contract.version import VERSION
from worker.process.memory import open_files, resident_bytes

disable_created_metrics()  # type: ignore[no-untyped-call]  # series that nobody asks for, one beside every other

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
IMAGES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Metrics:
    """The worker's metrics; each is updated by the stage it is named after."""

    registry: CollectorRegistry
    requests: Counter
    duration: Histogram
    queue: Histogram
    decode: Histogram
    inference: Histogram
    engine: Counter
    batch_size: Histogram
    in_flight: Gauge
    rejected: Counter
    model_ready: Gauge
    model: Gauge
    golden_score: Gauge
    golden_checks: Counter
    restarts: Counter

    def observe_stages(self, queue_s: float, decode_s: float, inference_s: float) -> None:
        """Record the seconds that one image spent in each stage."""
        self.queue.observe(queue_s)
        self.decode.observe(decode_s)
        self.inference.observe(inference_s)

    def observe_golden(self, image: str, score: float) -> None:
        """Record the score of a golden image's class."""
        self.golden_score.labels(image).set(score)

    def timed(self, infer: Callable[[Any], Any], later: Callable[..., object]) -> Callable[[Any], Any]:
        """Return `infer`, which counts its seconds by a call that it leaves to `later`."""

        def run(batch: Any) -> Any:
            started = time.monotonic()
            try:
                return infer(batch)
            finally:
                later(self.engine.inc, time.monotonic() - started)

        return run

    def counted(self, check: Callable[[], None], no_verdict: type[Exception]) -> Callable[[], None]:
        """Return the `check` of the golden images, which counts how it ends, unless it raises `no_verdict`."""

        def run() -> None:
            try:
                check()
            except no_verdict:
                raise
            except Exception:
                self.golden_checks.labels("failed").inc()
                raise
            self.golden_checks.labels("passed").inc()

        return run

    def images(self) -> int:
        """Return how many images the engine has answered."""
        samples = next(iter(self.inference.collect())).samples
        return round(next(sample.value for sample in samples if sample.name.endswith("_count")))

    def text(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)


def create_metrics(
    in_flight: Callable[[], float], ready: Callable[[], float], queued: Callable[[], float] = lambda: 0
) -> Metrics:
    """Return new metrics in a registry of their own; some gauges call their functions at every scrape."""
    registry = CollectorRegistry()

    def sampled(name: str, what: str, function: Callable[[], float]) -> Gauge:
        gauge = Gauge(f"wanwu_{name}", what, registry=registry)
        gauge.set_function(function)
        return gauge

    def seconds(name: str, what: str, labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(f"wanwu_{name}_seconds", what, labels, buckets=SECONDS, registry=registry)

    metrics = Metrics(
        registry=registry,
        requests=Counter("wanwu_requests", "Requests answered.", ("route", "status"), registry=registry),
        duration=seconds("request_duration", "Seconds from the request to its answer.", ("route",)),
        queue=seconds("queue", "Seconds that an image waited for the engine."),
        decode=seconds("decode", "Seconds to decode and scale an image."),
        inference=seconds("inference", "Seconds that the engine took for the batch an image was in."),
        engine=Counter("wanwu_engine_seconds", "Seconds that the engine was at work.", registry=registry),
        batch_size=Histogram("wanwu_batch_size_images", "Images in a batch.", buckets=IMAGES, registry=registry),
        in_flight=sampled("in_flight_images", "Images admitted and not yet answered.", in_flight),
        rejected=Counter("wanwu_rejected", "Requests refused, by the error's code.", ("reason",), registry=registry),
        model_ready=sampled("model_ready", "1 while this worker is ready to answer, else 0.", ready),
        model=Gauge(
            "wanwu_model_info",
            "Always 1; its labels state what answers, `digest` all files of the model folder.",
            ("version", "engine", "precision", "digest"),
            registry=registry,
        ),
        golden_score=Gauge(
            "wanwu_golden_score",
            "Score of a golden image's class when it was last checked; the workers of a model agree.",
            ("image",),
            registry=registry,
        ),
        golden_checks=Counter(
            "wanwu_golden_checks", "Checks of the golden images: passed or failed.", ("result",), registry=registry
        ),
        restarts=Counter(
            "wanwu_restarts", "Times that this worker's process was replaced since its program started.",
            registry=registry,
        ),
    )  # fmt: skip
    sampled("queued_images", "Images that wait for the engine.", queued)
    sampled("resident_memory_bytes", "Memory of this worker's process.", resident_bytes)
    sampled("open_files", "Open files and connections of this worker's process.", open_files)
    started = time.time()
    sampled("start_time_seconds", "When this worker's process started.", lambda: started)
    build = Info("wanwu_build", "Always 1; its label states the worker's version.", registry=registry)
    build.info({"version": VERSION})
    return metrics

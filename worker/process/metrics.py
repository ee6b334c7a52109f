"""Prometheus metrics of one worker: base units, prefix `wanwu_`."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from worker.contract.version import VERSION

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
    batch_size: Histogram
    in_flight: Gauge
    rejected: Counter
    model_ready: Gauge

    def observe_stages(self, queue_s: float, decode_s: float, inference_s: float) -> None:
        """Record the seconds that one image spent in each stage."""
        self.queue.observe(queue_s)
        self.decode.observe(decode_s)
        self.inference.observe(inference_s)

    def images(self) -> int:
        """Return how many images the engine has answered."""
        samples = next(iter(self.inference.collect())).samples
        return round(next(sample.value for sample in samples if sample.name.endswith("_count")))

    def text(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)


def create_metrics(in_flight: Callable[[], float], ready: Callable[[], float]) -> Metrics:
    """Return new metrics in a registry of their own; the two gauges call their functions at every scrape."""
    registry = CollectorRegistry()

    def seconds(name: str, what: str, labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(f"wanwu_{name}_seconds", what, labels, buckets=SECONDS, registry=registry)

    metrics = Metrics(
        registry=registry,
        requests=Counter("wanwu_requests", "Requests answered.", ("route", "status"), registry=registry),
        duration=seconds("request_duration", "Seconds from the request to its answer.", ("route",)),
        queue=seconds("queue", "Seconds that an image waited for the engine."),
        decode=seconds("decode", "Seconds to decode and scale an image."),
        inference=seconds("inference", "Seconds that the engine took for the batch an image was in."),
        batch_size=Histogram("wanwu_batch_size_images", "Images in a batch.", buckets=IMAGES, registry=registry),
        in_flight=Gauge("wanwu_in_flight_images", "Images admitted and not yet answered.", registry=registry),
        rejected=Counter("wanwu_rejected", "Requests refused, by the error's code.", ("reason",), registry=registry),
        model_ready=Gauge("wanwu_model_ready", "1 while this worker is ready to answer, else 0.", registry=registry),
    )
    build = Info("wanwu_build", "Always 1; its label states the worker's version.", registry=registry)
    build.info({"version": VERSION})
    metrics.in_flight.set_function(in_flight)
    metrics.model_ready.set_function(ready)
    return metrics

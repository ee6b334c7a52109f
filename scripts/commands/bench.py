"""`make bench`: measure this service and other ways to serve the same model."""

from scripts.bench.run import BenchOptions, measure
from scripts.commands import Command, Place


def run(place: Place, options: BenchOptions) -> None:
    """Run the benchmark and print its report."""
    measure(options, place.cluster, with_peers=False)


COMMAND = Command(
    "measure rate, latency, processor time, memory and start-up, beside other ways to serve", BenchOptions, run
)

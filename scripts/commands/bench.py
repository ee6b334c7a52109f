"""`make bench`: measure this service beside other ways to serve."""

from scripts.bench.run import BenchOptions, measure
from scripts.commands import Command, Place


def run(place: Place, options: BenchOptions) -> None:
    """Measure, and report."""
    measure(options, place.cluster, with_peers=False)


COMMAND = Command(
    "measure rate, latency, processor time, memory and start-up, beside other ways to serve", BenchOptions, run
)

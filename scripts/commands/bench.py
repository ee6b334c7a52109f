"""`make bench`: measure this service and other ways to serve the same model."""

from scripts.bench.run import BenchOptions, measure
from scripts.commands import Command, ServiceOptions


def run(service: ServiceOptions, options: BenchOptions) -> None:
    """Run the benchmark and print its report."""
    measure(options, with_peers=False)


COMMAND = Command(
    "measure rate, latency, CPU time and memory of this service and of other ways to serve", BenchOptions, run
)

"""`make bench-peers`: measure this service and other model servers."""

from scripts.bench.run import BenchOptions, measure
from scripts.commands import Command, ServiceOptions


def run(service: ServiceOptions, options: BenchOptions) -> None:
    """Run the benchmark and print its report."""
    measure(options, with_peers=True)


COMMAND = Command("install other model servers and measure them together with this service", BenchOptions, run)

"""`make bench-peers`: measure this service and other model servers."""

from scripts.bench.run import BenchOptions, measure
from scripts.commands import Command, Place


def run(place: Place, options: BenchOptions) -> None:
    """Run the benchmark and print its report."""
    measure(options, place.cluster, with_peers=True)


COMMAND = Command("measure the same beside other model servers, which are installed for it", BenchOptions, run)

"""`make rollout`: replace the workers one at a time."""

from scripts.commands import Command, ForceOptions, ServiceOptions
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


def run(service: ServiceOptions, options: ForceOptions) -> None:
    """Replace the workers one at a time."""
    directory, cluster = run_dir(service.run_dir), service.load_cluster()
    choose(service.runtime, directory, len(cluster.servers)).rollout(cluster, directory, force=options.force)


COMMAND = Command("replace the workers one at a time, without losing a request", ForceOptions, run, exclusive=True)

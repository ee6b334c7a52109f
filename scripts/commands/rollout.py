"""`make rollout`: replace the workers one at a time."""

from scripts.commands import Command, NoOptions, ServiceOptions
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


def run(service: ServiceOptions, options: NoOptions) -> None:
    """Replace the workers one at a time."""
    directory, cluster = run_dir(service.run_dir), service.load_cluster()
    choose(service.runtime, directory, len(cluster.servers)).rollout(cluster, directory)


COMMAND = Command("replace the workers one at a time, without losing a request", NoOptions, run, exclusive=True)

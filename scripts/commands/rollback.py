"""`make rollback`: restore the service as it was before the last change."""

from scripts.commands import Command, NoOptions, ServiceOptions
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


def run(service: ServiceOptions, options: NoOptions) -> None:
    """Restore the previous state of the service."""
    cluster, directory = service.load_cluster(), run_dir(service.run_dir)
    choose(service.runtime, directory, len(cluster.servers)).rollback(cluster, directory)


COMMAND = Command("undo the last change, without losing a request", NoOptions, run, exclusive=True)

"""`make rollback`: restore the service as it was before the last change."""

from scripts.commands import Command, ForceOptions, ServiceOptions
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


def run(service: ServiceOptions, options: ForceOptions) -> None:
    """Restore the previous state of the service."""
    cluster, directory = service.load_cluster(), run_dir(service.run_dir)
    choose(service.runtime, directory, len(cluster.servers)).rollback(cluster, directory, force=options.force)


COMMAND = Command("undo the last change, without losing a request", ForceOptions, run, exclusive=True)

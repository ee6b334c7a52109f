"""`make rollback`: restore the service as it was before the last change."""

from dataclasses import dataclass
from typing import Annotated

from scripts.base.options import Flag
from scripts.commands import Command, ServiceOptions
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


@dataclass(frozen=True)
class Options:
    """What `rollback` may do."""

    force: Annotated[bool, Flag("stop for a moment what cannot be changed while it serves")] = False


def run(service: ServiceOptions, options: Options) -> None:
    """Restore the previous state of the service."""
    cluster, directory = service.load_cluster(), run_dir(service.run_dir)
    choose(service.runtime, directory, len(cluster.servers)).rollback(cluster, directory, force=options.force)


COMMAND = Command("undo the last change, without losing a request", Options, run, exclusive=True)

"""`make drain`: under Swarm, stop everything that runs on one server."""

from dataclasses import dataclass
from typing import Annotated

from scripts.base.options import Flag
from scripts.commands import Command, ServiceOptions
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


@dataclass(frozen=True)
class Options:
    """Which server to drain."""

    server: Annotated[str, Flag("its name in the cluster file", "NAME")] = ""


def run(service: ServiceOptions, options: Options) -> None:
    """Drain the server."""
    cluster, directory = service.load_cluster(), run_dir(service.run_dir)
    choose(service.runtime, directory, len(cluster.servers)).drain(cluster, directory, options.server)


COMMAND = Command("under Swarm, stop everything on one server so that it can be removed", Options, run, exclusive=True)

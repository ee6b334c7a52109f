"""`make drain`: under Swarm, stop everything that runs on one server."""

from dataclasses import dataclass
from typing import Annotated

from scripts.base.options import Flag
from scripts.commands import Command, Place
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


@dataclass(frozen=True)
class Options:
    """Which server to drain."""

    server: Annotated[str, Flag("its name in the cluster's file", "NAME")] = ""


def run(place: Place, options: Options) -> None:
    """Drain the server."""
    cluster, directory = place.load_cluster(), run_dir(place.run_dir)
    choose(place.runtime, directory, len(cluster.servers)).drain(cluster, directory, options.server)


COMMAND = Command("under Swarm, stop what runs on one server, so that it may be taken away", Options, run)

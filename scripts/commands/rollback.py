"""`make rollback`: under Swarm, restore the service as it was before the last change."""

from scripts.commands import Command, NoOptions, Place
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


def run(place: Place, options: NoOptions) -> None:
    """Restore the previous state of the service."""
    cluster, directory = place.load_cluster(), run_dir(place.run_dir)
    choose(place.runtime, directory, len(cluster.servers)).rollback(cluster, directory)


COMMAND = Command("under Swarm, bring back what served before the last change, one worker at a time", NoOptions, run)

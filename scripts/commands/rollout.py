"""`make rollout`: replace the workers one at a time."""

from scripts.commands import Command, NoOptions, Place
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


def run(place: Place, options: NoOptions) -> None:
    """Replace the workers one at a time."""
    directory, cluster = run_dir(place.run_dir), place.load_cluster()
    choose(place.runtime, directory, len(cluster.servers)).rollout(cluster, directory)


COMMAND = Command("replace the workers one at a time, losing no request", NoOptions, run)

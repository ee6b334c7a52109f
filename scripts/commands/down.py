"""`make down`: stop everything and remove the run directory."""

from scripts.commands import Command, NoOptions, Place
from scripts.runtimes.choice import choose, count_servers
from scripts.runtimes.run_directory import run_dir


def run(place: Place, options: NoOptions) -> None:
    """Stop everything that runs from the run directory, and remove it."""
    directory = run_dir(place.run_dir)
    choose(place.runtime, directory, count_servers(place.cluster)).down(directory)


COMMAND = Command("stop everything and remove the run directory", NoOptions, run)

"""`make down`: stop everything and remove what it wrote, but for its logs."""

from scripts.commands import Command, NoOptions, ServiceOptions
from scripts.runtimes.choice import choose, count_servers
from scripts.runtimes.run_directory import run_dir


def run(service: ServiceOptions, options: NoOptions) -> None:
    """Stop everything that runs from the run directory, and remove what is in it but the logs."""
    directory = run_dir(service.run_dir)
    runtime = choose(service.runtime, directory, count_servers(service.cluster))
    runtime.observability.stop(directory)
    runtime.down(directory)


COMMAND = Command("stop everything and remove what it wrote, but for its logs", NoOptions, run, exclusive=True)

"""`make status`: show every slot, its worker and its state."""

from scripts.commands import Command, NoOptions, ServiceOptions
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


def run(service: ServiceOptions, options: NoOptions) -> None:
    """Print the status tables; raise CommandError if the service has a fault."""
    cluster, directory = service.load_cluster(), run_dir(service.run_dir)
    choose(service.runtime, directory, len(cluster.servers)).show_status(cluster, directory)


COMMAND = Command("show every slot, its worker and its state", NoOptions, run)

"""`make models`: list the model folders."""

from scripts.commands import Command, ServiceOptions
from scripts.models import listing
from scripts.models.options import ModelOptions


def run(service: ServiceOptions, options: ModelOptions) -> None:
    """List all model folders, or show all measurements of one."""
    listing.show(options.models, service.load_cluster(), options.name)


COMMAND = Command("list every model folder, and whether it is served and verified", ModelOptions, run)

"""`make model-add`: create a model folder from local files."""

from scripts.commands import Command, ServiceOptions
from scripts.models.add import add
from scripts.models.options import AddModelOptions


def run(service: ServiceOptions, options: AddModelOptions) -> None:
    """Create the model folder."""
    add(options, service.lock)


COMMAND = Command("create a model folder from local files", AddModelOptions, run)

"""`make model-add`: make a model folder from local files."""

from scripts.commands import Command, Place
from scripts.models.add import add
from scripts.models.options import AddModelOptions


def run(place: Place, options: AddModelOptions) -> None:
    """Make the model folder."""
    add(options)


COMMAND = Command("make a model folder from files at hand", AddModelOptions, run)

"""`make model-fetch`: fetch a published model and make a model folder of it."""

from scripts.commands import Command, Place
from scripts.models.fetch import fetch
from scripts.models.options import FetchModelOptions


def run(place: Place, options: FetchModelOptions) -> None:
    """Fetch the model and make its folder."""
    fetch(options)


COMMAND = Command("fetch a published model and make a model folder of it", FetchModelOptions, run)

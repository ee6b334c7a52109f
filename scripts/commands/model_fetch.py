"""`make model-fetch`: fetch a published model and create a model folder from it."""

from scripts.commands import Command, ServiceOptions
from scripts.models.fetch import fetch
from scripts.models.options import FetchModelOptions


def run(service: ServiceOptions, options: FetchModelOptions) -> None:
    """Fetch the model and create its folder."""
    fetch(options, service.lock)


COMMAND = Command("fetch a published model and create a model folder from it", FetchModelOptions, run)

"""`make teach`: make a model folder that knows a user's own classes, from a folder of images."""

from scripts.commands import Command, ServiceOptions
from scripts.models.options import TeachOptions
from scripts.models.teach import teach


def run(service: ServiceOptions, options: TeachOptions) -> None:
    """Teach a model new classes."""
    teach(options, service.load_cluster(), service.lock)


COMMAND = Command("make a model that knows your own classes, from a folder of images", TeachOptions, run)

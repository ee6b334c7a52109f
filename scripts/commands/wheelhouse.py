"""`make wheelhouse`: download the wheels that the images are built from."""

from scripts.commands import Command, NoOptions, ServiceOptions
from scripts.host import wheelhouse


def run(service: ServiceOptions, options: NoOptions) -> None:
    """Download the wheels, including torch."""
    wheelhouse.fill(torch=True)


COMMAND = Command("download the wheels that the images are built from", NoOptions, run)

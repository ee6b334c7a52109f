"""`make wheelhouse`: download the wheels that the images are built from."""

from scripts.commands import Command, NoOptions, Place
from scripts.host import wheelhouse


def run(place: Place, options: NoOptions) -> None:
    """Download the wheels, including torch."""
    wheelhouse.fill(torch=True)


COMMAND = Command("fetch the wheels that images are built from", NoOptions, run)

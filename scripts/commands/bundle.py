"""`make bundle`: write everything that a bare server needs into one directory."""

from scripts.bundle.run import BundleOptions, write_bundle
from scripts.commands import Command, Place


def run(place: Place, options: BundleOptions) -> None:
    """Write the bundle."""
    write_bundle(options, place.load_cluster())


COMMAND = Command("put all that bare servers need into one directory", BundleOptions, run)

"""`make bundle`: write everything that a bare server needs into one directory."""

from scripts.bundle.run import BundleOptions, write_bundle
from scripts.commands import Command, ServiceOptions


def run(service: ServiceOptions, options: BundleOptions) -> None:
    """Write the bundle."""
    write_bundle(options, service.load_cluster())


COMMAND = Command("write everything that bare servers need into one directory", BundleOptions, run)

"""`make version`: print the version of this checkout or kit."""

from scripts.base.console import say
from scripts.commands import Command, NoOptions, ServiceOptions
from worker.contract.version import VERSION


def run(service: ServiceOptions, options: NoOptions) -> None:
    """Print the version."""
    say(VERSION)


COMMAND = Command("print the version of this checkout or kit", NoOptions, run)

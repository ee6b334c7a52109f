"""`make test-unit`: run the tests that start no process, which need no system packages."""

from scripts.cluster.hardware import read_hardware
from scripts.commands import Command, NoOptions, ServiceOptions
from scripts.commands.test import UNIT, pytest_arguments
from scripts.host import checks
from scripts.host.environments import DEV, ensure


def run(service: ServiceOptions, options: NoOptions) -> None:
    """Run the unit tests; raise CommandError if one fails."""
    python = ensure(DEV, nvidia=bool(read_hardware().gpus))
    checks.run("pytest", [python, *pytest_arguments("unit"), UNIT])


COMMAND = Command("run the tests that start no process", NoOptions, run)

"""`make format`: format the Python code, and apply ruff's automatic fixes."""

from scripts.cluster.hardware import read_hardware
from scripts.commands import Command, NoOptions, ServiceOptions
from scripts.host.checks import format_code
from scripts.host.environments import DEV
from scripts.host.venv import ensure


def run(service: ServiceOptions, options: NoOptions) -> None:
    """Format and fix the code with the development environment's ruff."""
    format_code(ensure(DEV, bool(read_hardware().gpus)).parent)


COMMAND = Command("format the code, and apply ruff's automatic fixes", NoOptions, run)

"""`make test-unit`: run the tests that start no process, which need no system packages."""

from scripts.cluster.hardware import read_hardware
from scripts.commands import Command, NoOptions, ServiceOptions
from scripts.commands.test import REPORTS, UNIT, pytest_arguments
from scripts.host.environments import DEV
from scripts.host.lanes import run_in_parallel
from scripts.host.venv import ensure

MODELS = f"{UNIT}/worker/models"  # these tests take about half of the time


def run(service: ServiceOptions, options: NoOptions) -> None:
    """Run the unit tests in two lanes; raise CommandError if one fails."""
    python = ensure(DEV, nvidia=bool(read_hardware().gpus))
    lanes = {"models": [MODELS], "others": [UNIT, f"--ignore={MODELS}"]}
    run_in_parallel({lane: [python, *pytest_arguments(lane), *tests] for lane, tests in lanes.items()}, REPORTS)


COMMAND = Command("run the tests that start no process", NoOptions, run)

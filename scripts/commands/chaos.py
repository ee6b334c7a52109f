"""`make chaos`: disturb a service of its own under load, and count what clients notice."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.options import Flag, made_folder
from scripts.cluster.hardware import read_hardware
from scripts.commands import Command, ServiceOptions
from scripts.host import checks
from scripts.host.environments import DEV
from scripts.host.venv import ensure


@dataclass(frozen=True)
class Options:
    """Which disturbances, how often, under which load, and where the logs go."""

    rows: Annotated[str, Flag("comma-separated; all without any", metavar="A,B")] = ""
    times: Annotated[int, Flag("each disturbance; 0: as often as in the tests")] = 0
    rate: Annotated[int, Flag("requests a second")] = 10
    seed: Annotated[int, Flag("another number draws other disturbances in the row `drawn`")] = 0
    out: Annotated[Path, Flag("where the log of every request goes")] = Path("chaos")


def run(service: ServiceOptions, options: Options) -> None:
    """Run the rows and print the table; raise CommandError if clients noticed more than is promised."""
    out, python = made_folder(options.out), ensure(DEV, nvidia=bool(read_hardware().gpus))
    rows = [name for name in options.rows.split(",") if name]
    checks.run("chaos", [python, "-m", "tests.chaos", *rows, "--times", options.times, "--rate", options.rate,
                         "--seed", options.seed, "--out", out])  # fmt: skip


COMMAND = Command("disturb a service of its own under load, and count what clients notice", Options, run)

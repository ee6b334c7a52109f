"""`make fuzz`: feed the parsers of images, requests and configuration with random inputs."""

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
    """What to fuzz, for how long, or one saved input to check again."""

    minutes: Annotated[int, Flag("for all targets together")] = 5
    targets: Annotated[str, Flag("comma-separated; all without any", metavar="A,B")] = ""
    out: Annotated[Path, Flag("where failing inputs go")] = Path("fuzz")
    input: Annotated[str, Flag("a saved input, to check it alone", metavar="FILE")] = ""
    seed: Annotated[int, Flag("another number draws other inputs")] = 0


def run(service: ServiceOptions, options: Options) -> None:
    """Fuzz, and print executions, failures and memory by target; raise CommandError if an input fails."""
    out, python = made_folder(options.out), ensure(DEV, nvidia=bool(read_hardware().gpus))
    one = ("--input", options.input) if options.input else ()
    targets = [name for name in options.targets.split(",") if name]
    checks.run("fuzz", [python, "-m", "tests.fuzz", *targets, "--minutes", options.minutes, "--out", out,
                        "--seed", options.seed, *one])  # fmt: skip


COMMAND = Command("feed every parser with random inputs, and keep those that fail", Options, run)

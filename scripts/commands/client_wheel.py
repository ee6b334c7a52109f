"""`make client-wheel`: write the Python client as a wheel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.options import Flag
from scripts.client.wheel import OUT, build
from scripts.commands import Command, ServiceOptions


@dataclass(frozen=True)
class Options:
    """Where to write the wheel."""

    out: Annotated[Path, Flag("the folder of the wheel", "DIR")] = OUT


def run(service: ServiceOptions, options: Options) -> None:
    """Write the wheel."""
    build(options.out)


COMMAND = Command("write the Python client as a wheel", Options, run)

"""`make bundle-verify`: check the files of a bundle on any machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.options import Flag
from scripts.bundle.run import OUT
from scripts.bundle.verify import verify
from scripts.commands import Command, ServiceOptions


@dataclass(frozen=True)
class Options:
    """Which bundle to check."""

    bundle: Annotated[Path, Flag("the bundle's directory")] = OUT


def run(service: ServiceOptions, options: Options) -> None:
    """Verify the bundle."""
    verify(options.bundle)


COMMAND = Command("check the files of a bundle, on any machine", Options, run)

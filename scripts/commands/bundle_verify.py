"""`make bundle-verify`: check the signature and the files of a bundle on any machine."""

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
    base: Annotated[str, Flag("the older bundle that it extends", "DIR")] = ""
    signers: Annotated[str, Flag("who may have made it: a fingerprint, or a file of allowed signers")] = ""


def run(service: ServiceOptions, options: Options) -> None:
    """Verify the bundle."""
    verify(options.bundle, options.signers, Path(options.base) if options.base else None)


COMMAND = Command("check who made a bundle and all its files, on any machine", Options, run)

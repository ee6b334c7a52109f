"""What init-server.sh is asked for on its command line."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from scripts.base.errors import CommandError

GPUS = ("auto", "none")
REPLACED = {
    "--join": "--join-file FILE, or --join-file - for standard input: "
    "every account of this server can read a token on the command line"
}


@dataclass(frozen=True)
class Options:
    """Each field is a flag of the same name; the header of init-server.sh is their manual."""

    bundle: str = ""
    signers: str = ""  # checked by stage 0
    models: str = ""
    cluster: str = ""
    join_file: str = ""
    address: str = ""
    gpu: str = "auto"
    first: bool = False
    dry_run: bool = False
    uninstall: bool = False


FLAGS = {f"--{field.name.replace('_', '-')}": field for field in fields(Options)}


def parse(program: str, arguments: Sequence[str]) -> Options:
    """Return the options in `arguments`; raise CommandError for what is unknown or contradicts itself."""
    manual = f"see {program} --help"
    values: dict[str, str | bool] = {}
    rest = list(arguments)
    while rest:
        flag = rest.pop(0)
        if flag in REPLACED:
            raise CommandError(f"found {flag}, needed {REPLACED[flag]}")
        if flag not in FLAGS:
            raise CommandError(f"unknown argument {flag}: {manual}")
        if FLAGS[flag].type is bool:
            values[FLAGS[flag].name] = True
        elif rest:
            values[FLAGS[flag].name] = rest.pop(0)
        else:
            raise CommandError(f"found {flag} without a value: {manual}")
    options = Options(**values)  # type: ignore[arg-type]
    _check(options, manual)
    return options


def _check(options: Options, manual: str) -> None:
    if options.gpu not in GPUS:
        raise CommandError(f"--gpu: found {options.gpu}, needed auto or none")
    if options.cluster and not (Path(options.cluster).is_file() and os.access(options.cluster, os.R_OK)):
        raise CommandError(
            f"--cluster: found no {options.cluster} that can be read, needed a file like the kit's compose/cluster.toml"
        )
    if options.first and options.join_file:
        raise CommandError("found --first and --join-file, needed one of them: only one server creates the swarm")
    if not options.uninstall and not (options.bundle and options.models):
        raise CommandError(f"needed --bundle DIR and --models SOURCE: {manual}")

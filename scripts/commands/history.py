"""`make history`: list what changed the service, when, by whom, and how it ended."""

import json
from dataclasses import asdict, astuple, dataclass, fields
from typing import Annotated

from scripts.base.console import aligned, printable, say
from scripts.base.options import Flag
from scripts.commands import Command, ServiceOptions
from scripts.runtimes.history import Change, History
from scripts.runtimes.run_directory import run_dir


@dataclass(frozen=True)
class Options:
    """How to print."""

    json: Annotated[bool, Flag("print a JSON list")] = False


def run(service: ServiceOptions, options: Options) -> None:
    """Print a line for each change, the oldest first."""
    changes = History(run_dir(service.run_dir)).changes
    if options.json:
        say(json.dumps([asdict(change) for change in changes], indent=1, ensure_ascii=False))
    elif changes:
        heads = [field.name for field in fields(Change)]
        say(aligned([heads, *([printable(value) for value in astuple(change)] for change in changes)]))
    else:
        say("nothing has changed yet")


COMMAND = Command("list what changed the service, when, by whom, and how it ended", Options, run)

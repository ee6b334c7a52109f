"""The local runtime's log files, with those that supervisord has put aside: NAME.log, NAME.log.1, ...

They and their folder belong to the account of the service, which may put links there.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from scripts.base.beneath import open_beneath
from scripts.runtimes.request_lines import Line

FILE = re.compile(r"(.+\.log)(?:\.(\d+))?")


def files(folder: Path) -> list[Path]:
    """Return the log files, the oldest of each log first."""
    found = [(FILE.fullmatch(path.name), path) for path in folder.glob("*.log*")]
    ages = [(name[1], -int(name[2] or 0), path) for name, path in found if name]
    return [path for *_, path in sorted(ages)]


def lines(folder: Path) -> Iterator[Line]:
    """Yield every line of every log."""
    for path in files(folder):
        with suppress(OSError), open_log(path) as file:
            name = path.name.partition(".log")[0]
            yield from (Line(name, line.rstrip("\n")) for line in file)


def enter(folder: Path) -> None:
    """Make `folder` this process's own; raise OSError if it is a link."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    os.fchdir(descriptor)
    os.close(descriptor)


def open_log(path: Path) -> TextIO:
    """Return the open file; raise OSError if it or its folder is a link."""
    return open_beneath(path.parent.parent, f"{path.parent.name}/{path.name}", errors="replace")

"""The local runtime's log files, with those that supervisord has put aside: NAME.log, NAME.log.1, ..."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

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


def open_log(path: Path) -> TextIO:
    """Return the open file; raise OSError for a link, by which the account of the service could show root's files."""
    return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), encoding="utf-8", errors="replace")

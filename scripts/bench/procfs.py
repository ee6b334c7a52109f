"""Processes as /proc shows them: descendants, CPU time, memory. A process that ends meanwhile is left out."""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# Indices of the fields that follow the process's name in /proc/PID/stat, see proc(5): utime, stime, cutime, cstime.
PARENT, TIMES = 1, slice(11, 15)
MEMORY = ("Rss:", "Pss:", "Pss_Anon:")


@dataclass(frozen=True)
class Memory:
    """The resident memory of processes in MB.

    `rss` counts a shared page for each process that has it, `pss` a page shared by n as 1/n for each; `anonymous` is
    the part of `pss` that no file backs.
    """

    rss: float = 0.0
    pss: float = 0.0
    anonymous: float = 0.0

    def __truediv__(self, number: int) -> "Memory":
        return Memory(self.rss / number, self.pss / number, self.anonymous / number)


def process_tree(pids: Iterable[int]) -> list[int]:
    """Return the running processes among `pids` and all their descendants."""
    stats = {int(path.name): _stat(path) for path in PROC.glob("[0-9]*")}
    tree = [pid for pid in pids if stats.get(pid)]
    for pid in tree:  # grows during the loop
        tree += [
            child for child, fields in stats.items() if fields and int(fields[PARENT]) == pid and child not in tree
        ]
    return tree


def command_line(pid: int) -> bytes:
    """Return the process's arguments, each terminated by a zero byte; empty if the process has ended."""
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_bytes()
    return b""


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds of the processes and their descendants, including ended ones that were waited for."""
    ticks = sum(sum(map(int, _stat(PROC / str(pid))[TIMES])) for pid in process_tree(pids))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pids: Iterable[int]) -> Memory:
    """Return the memory of the processes and their descendants."""
    totals = dict.fromkeys(MEMORY, 0.0)
    for pid in process_tree(pids):
        with contextlib.suppress(OSError):
            for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
                name, value, *_ = line.split()
                if name in totals:
                    totals[name] += int(value) * 1024 / 1e6
    return Memory(*totals.values())


def _stat(path: Path) -> list[str]:
    try:
        return (path / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []

"""Processes as /proc shows them: descendants, CPU time, memory. A process that ends meanwhile is left out."""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# The fields after the process's name in /proc/PID/stat, see proc(5): utime, stime, cutime, cstime.
TIMES = slice(11, 15)


@dataclass(frozen=True)
class Memory:
    """The resident memory of processes in MB: now, its peak so far, and the part that no file backs.

    A page that several of them share counts for each.
    """

    rss: float = 0.0
    peak: float = 0.0
    anonymous: float = 0.0


def process_tree(pids: Iterable[int]) -> list[int]:
    """Return the running processes among `pids` and all their descendants, each once."""
    tree = [pid for pid in pids if _stat(pid)]
    for pid in tree:  # grows during the loop
        for path in PROC.glob(f"{pid}/task/*/children"):
            with contextlib.suppress(OSError):
                tree += [child for child in map(int, path.read_text().split()) if child not in tree]
    return tree


def command_line(pid: int) -> bytes:
    """Return the process's arguments, each terminated by a zero byte; empty if the process has ended."""
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_bytes()
    return b""


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds of the processes and their descendants, including ended ones that were waited for."""
    ticks = sum(sum(map(int, _stat(pid)[TIMES])) for pid in process_tree(pids))
    return ticks / os.sysconf("SC_CLK_TCK")


def status(pid: int) -> dict[str, int]:
    """Return the numbers of /proc/PID/status by name, those of memory in kB; empty if the process has ended."""
    with contextlib.suppress(OSError):
        lines = (line.split() for line in (PROC / str(pid) / "status").read_text().splitlines())
        return {words[0][:-1]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}
    return {}


def memory(pids: Iterable[int]) -> Memory:
    """Return the memory of the processes and their descendants."""
    each = [status(pid) for pid in process_tree(pids)]
    names = ("VmRSS", "VmHWM", "RssAnon")
    return Memory(*(sum(fields.get(name, 0) for fields in each) * 1024 / 1e6 for name in names))


def _stat(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return []

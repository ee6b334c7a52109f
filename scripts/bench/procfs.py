"""Processes as /proc shows them: descendants, CPU time, memory. One that ends meanwhile is left out."""

import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Memory(NamedTuple):
    """Resident memory in MB: now, its peak so far, and what no file backs. A shared page counts for each process."""

    rss: float = 0.0
    peak: float = 0.0
    anonymous: float = 0.0


def read(name: str | Path) -> str:
    """Return the text of the file `name` in /proc, "" if its process has ended."""
    with suppress(OSError):
        return (PROC / name).read_text(errors="replace")
    return ""


def process_tree(pids: Iterable[int]) -> list[int]:
    """Return the running processes among `pids` and all their descendants, each once."""
    tree = [pid for pid in pids if read(f"{pid}/stat")]
    for pid in tree:  # grows during the loop
        for path in PROC.glob(f"{pid}/task/*/children"):
            with suppress(OSError):
                tree += [child for child in map(int, path.read_text().split()) if child not in tree]
    return tree


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds of the processes and their descendants, including ended ones that were waited for."""
    # utime, stime, cutime and cstime of proc(5) come after the name, which may hold blanks and brackets.
    times = chain(*(read(f"{pid}/stat").rpartition(")")[2].split()[11:15] for pid in process_tree(pids)))
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def thread_s(pids: Iterable[int], name: str) -> float:
    """Return the CPU seconds of all threads called `name` of the processes and their descendants."""
    paths = chain(*(PROC.glob(f"{pid}/task/*/comm") for pid in process_tree(pids)))
    threads = [path.parent.relative_to(PROC) for path in paths if read(path.relative_to(PROC)).strip() == name]
    return sum(int((read(thread / "schedstat") or "0").split()[0]) for thread in threads) / 1e9


def status(pid: int) -> dict[str, int]:
    """Return the numbers of /proc/PID/status by name, those of memory in kB; empty if the process has ended."""
    lines = map(str.split, read(f"{pid}/status").splitlines())
    return {words[0][:-1]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def memory(pids: Iterable[int]) -> Memory:
    """Return the memory of the processes and their descendants."""
    each = [status(pid) for pid in process_tree(pids)]
    return Memory(*(sum(one.get(name, 0) for one in each) * 1024 / 1e6 for name in ("VmRSS", "VmHWM", "RssAnon")))

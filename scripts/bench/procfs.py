"""Processes as /proc shows them: descendants, CPU time, memory. A process that ends meanwhile is left out."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICKS_S = 1 / os.sysconf("SC_CLK_TCK")
# /proc/PID/stat, see proc(5): the process's name ends with ")"; the other constants index the fields after it. TIMES
# are utime, stime, cutime and cstime.
NAME_END = ")"
PARENT, SESSION, TIMES = 1, 3, slice(11, 15)


def process_tree(pids: Iterable[int]) -> list[int]:
    """Return the running processes among `pids` and all their descendants."""
    parents = {int(path.name): _parent(path) for path in PROC.glob("[0-9]*")}
    tree = [pid for pid in pids if pid in parents]
    for pid in tree:  # grows during the loop
        tree += [child for child, parent in parents.items() if parent == pid and child not in tree]
    return tree


def session_processes(pid: int) -> list[int]:
    """Return the running processes of the session that process `pid` leads."""
    stats = {int(path.name): _stat(path) for path in PROC.glob("[0-9]*")}
    return [member for member, fields in stats.items() if fields and int(fields[SESSION]) == pid]


def command_line(pid: int) -> bytes:
    """Return the process's arguments, each terminated by a zero byte; empty if the process has ended."""
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_bytes()
    return b""


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds of the processes and their descendants, including ended ones that were waited for."""
    return sum(sum(map(int, _stat(PROC / str(pid))[TIMES])) for pid in process_tree(pids)) * TICKS_S


def memory_mb(pids: Iterable[int]) -> float:
    """Return the memory (PSS) of the processes and their descendants in MB; a page shared by n counts 1/n for each."""
    total = 0
    for pid in process_tree(pids):
        with contextlib.suppress(OSError):
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def stolen_s() -> float:
    """Return the CPU seconds, over all cores, that the hypervisor gave to other machines while this one had work."""
    return int((PROC / "stat").read_text().split("\n", 1)[0].split()[8]) * TICKS_S


def _stat(path: Path) -> list[str]:
    try:
        return (path / "stat").read_text().rpartition(NAME_END)[2].split()
    except OSError:
        return []


def _parent(path: Path) -> int:
    fields = _stat(path)
    return int(fields[PARENT]) if fields else 0

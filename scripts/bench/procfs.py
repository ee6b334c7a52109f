"""What /proc says of processes: who is below whom, CPU time, memory. Processes that end meanwhile count no more."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICKS_S = 1 / os.sysconf("SC_CLK_TCK")
NAME_END, PARENT, SESSION, TIMES = (
    ")",
    1,
    3,
    slice(11, 15),
)  # proc(5): fields after the name; utime, stime, and waited children's


def family(pids: Iterable[int]) -> list[int]:
    """The processes `pids` and all below them, those that live."""
    parents = {int(path.name): _parent(path) for path in PROC.glob("[0-9]*")}
    found = [pid for pid in pids if pid in parents]
    for pid in found:  # grows as it goes
        found += [child for child, parent in parents.items() if parent == pid and child not in found]
    return found


def session(pid: int) -> list[int]:
    """The processes of the session that process `pid` began, those that live."""
    found = {int(path.name): _stat(path) for path in PROC.glob("[0-9]*")}
    return [one for one, fields in found.items() if fields and int(fields[SESSION]) == pid]


def command_line(pid: int) -> bytes:
    """The process's arguments, each ended by a zero byte; empty for one that is gone."""
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_bytes()
    return b""


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds that the processes and all below them have used, those already ended and waited for included."""
    return sum(sum(map(int, _stat(PROC / str(pid))[TIMES])) for pid in family(pids)) * TICKS_S


def memory_mb(pids: Iterable[int]) -> float:
    """Memory of the processes and all below them in MB of 10^6 bytes; a page shared by n counts 1/n for each (PSS)."""
    total = 0
    for pid in family(pids):
        with contextlib.suppress(OSError):
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def stolen_s() -> float:
    """CPU seconds, of all cores, that the hypervisor gave to other machines while this one had work."""
    return int((PROC / "stat").read_text().split("\n", 1)[0].split()[8]) * TICKS_S


def _stat(path: Path) -> list[str]:
    try:
        return (path / "stat").read_text().rpartition(NAME_END)[2].split()
    except OSError:
        return []


def _parent(path: Path) -> int:
    fields = _stat(path)
    return int(fields[PARENT]) if fields else 0

"""What /proc says of running processes; one that has ended holds no memory."""

import contextlib
import os
import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HIGH_WATER = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
PRIVATE = re.compile(r"^Private_(?:Clean|Dirty):\s+(\d+) kB$", re.MULTILINE)
DATA = re.compile(r"^VmData:\s+(\d+) kB$", re.MULTILINE)
RESET_HIGH_WATER = "5"  # proc(5), /proc/PID/clear_refs


def high_water(pid: int) -> int:
    """Return the most bytes that the process has held in memory at once since the last reset."""
    return sum(_kilobytes(pid, "status", HIGH_WATER)) * 1024


def data(pid: int) -> int:
    """Return the bytes that the process has allocated, as RLIMIT_DATA counts them, without its threads' stacks."""
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return sum(_kilobytes(pid, "status", DATA)) * 1024 - threads * resource.getrlimit(resource.RLIMIT_STACK)[0]


def private(pid: int) -> int:
    """Return the bytes in memory that the process shares with no other."""
    return sum(_kilobytes(pid, "smaps_rollup", PRIVATE)) * 1024


def reset_high_water(pid: int) -> None:
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text(RESET_HIGH_WATER)


def stat(folder: Path) -> list[str]:
    """Return a process's or thread's fields of proc_pid_stat(5) from its state on; raise OSError if it has ended."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def children(pid: int) -> list[int]:
    """Return the children that any thread of the process has started."""
    found = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def command_line(pid: int) -> str:
    """Return the process's arguments, a space after each, or what it calls itself; nothing once it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def variable(pid: int, name: str) -> str:
    """Return a variable of the environment that the process was started with, "" if it has none of this name."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/environ").read_text().split("\0")
        return next((line.partition("=")[2] for line in lines if line.startswith(f"{name}=")), "")
    return ""


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Let the process do nothing until the block ends."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def descendants(pid: int) -> list[int]:
    found = children(pid)
    return found + [below for child in found for below in descendants(child)]


def _kilobytes(pid: int, file: str, pattern: re.Pattern[str]) -> list[int]:
    try:
        return [int(number) for number in pattern.findall(Path(f"/proc/{pid}/{file}").read_text())]
    except OSError:
        return []

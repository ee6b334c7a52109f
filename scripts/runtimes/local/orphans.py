"""Find and end the processes of a run directory that have lost their supervisord."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.runtimes.run_directory import RunDir

SIGNAL_TIMEOUT_S = 30  # for workers to drain, and for Nginx to answer its requests in flight
PROC = Path("/proc")
STARTED_IN, BY_SYSTEMD = "STARTED_IN", "systemd"


def find(run: RunDir) -> dict[int, str]:
    """Return process id -> title for every process that was started from this run directory.

    supervisord, gate and workers have the run directory in their environment, which all children inherit. Nginx
    overwrites its environment with its title, but its working directory is the run directory, even after removal.
    """
    container = _namespace("self", "pid")
    processes = {}
    for pid in (int(path.name) for path in PROC.glob("[0-9]*")):
        with suppress(OSError):  # the process has ended, or belongs to another account
            # Processes in other containers may have the same paths.
            own = pid != os.getpid() and _namespace(pid, "pid") == container
            if own and (_has_environment(pid, run) or _is_nginx(pid, run)):
                processes[pid] = _title(pid)
    return processes


def end(run: RunDir) -> None:
    """End all processes that `find` returns, supervisord and Nginx first; raise CommandError if some survive."""
    for matches, signum in PHASES:
        _signal(run, matches, signum)
    if survivors := find(run):
        listed = ", ".join(f"{pid} ({title})" for pid, title in survivors.items())
        raise CommandError(
            f"{run.path}: found processes that cannot be ended: {listed}: run this as root, or under their account"
        )


def _any(_: str) -> bool:
    return True


# supervisord first: it would restart the others.
PHASES: tuple[tuple[Callable[[str], bool], int], ...] = (
    (lambda title: "/supervisord -c " in title, signal.SIGTERM),
    (lambda title: title.startswith("nginx: "), signal.SIGQUIT),
    (_any, signal.SIGTERM),
    (_any, signal.SIGKILL),
)


def _signal(run: RunDir, matches: Callable[[str], bool], signum: int) -> None:
    """Send `signum` to the processes whose title `matches`; wait at most SIGNAL_TIMEOUT_S seconds for their end."""
    signalled: set[int] = set()

    def are_gone() -> bool:
        pids = {pid for pid, title in find(run).items() if matches(title)}
        for pid in pids - signalled:  # some may have started since the last call
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signum)
        signalled.update(pids)
        return not pids

    wait_until(are_gone, SIGNAL_TIMEOUT_S)


def mark() -> dict[str, str]:
    """Return the variable by which the processes are known: the mounts of the command that started them.

    Their own may differ, see confine.py; and other services may have the same paths in other mount namespaces.
    """
    return {STARTED_IN: _namespace("self", "mnt")}


def mark_of_unit() -> dict[str, str]:
    """Return the same for what systemd starts, whose mounts have another number after each boot."""
    return {STARTED_IN: BY_SYSTEMD}


def _own_marks() -> set[str]:
    marks = {_namespace("self", "mnt")}
    with suppress(OSError):  # the first process can be seen only by root, and not in every container
        marks |= {BY_SYSTEMD} if _namespace(1, "mnt") in marks else set()
    return marks


def _namespace(pid: int | str, kind: str) -> str:
    return os.readlink(PROC / f"{pid}/ns/{kind}")


def _title(pid: int) -> str:
    return (PROC / f"{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()


def _has_environment(pid: int, run: RunDir) -> bool:
    entries = os.fsdecode((PROC / f"{pid}/environ").read_bytes()).split("\0")
    variables = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    # HOME alone may be a user's own: only processes of the kit have GATE, too. Earlier releases did not set STARTED_IN.
    started_in = variables.get(STARTED_IN) or _namespace(pid, "mnt")
    is_own = variables.get("HOME") == str(run.path) and "GATE" in variables
    return is_own and started_in in _own_marks()


def _is_nginx(pid: int, run: RunDir) -> bool:
    if not _title(pid).startswith("nginx: "):
        return False
    folder, removed = PROC / f"{pid}/cwd", f"{run.path} (deleted)"
    is_inside = run.path.exists() and folder.samefile(run.path)
    return is_inside or (os.readlink(folder) == removed and not os.path.lexists(removed))

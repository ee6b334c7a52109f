"""Find and end the processes of a run directory that have lost their supervisord."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.runtimes.run_directory import RunDir

PATIENCE_S = 30  # for workers to drain, and for Nginx to answer its requests in flight
PROC = Path("/proc")


def find(run: RunDir) -> dict[int, str]:
    """Return process id -> title for every process that was started from this run directory.

    supervisord, gate and workers have the run directory in their environment, which all children inherit. Nginx
    overwrites its environment with its title, but its working directory is the run directory, even after removal.
    """
    own = _mounts("self")
    found = {}
    for pid in (int(path.name) for path in PROC.glob("[0-9]*")):
        with suppress(OSError):  # the process has ended, or belongs to another account
            # Processes in other containers may have the same paths.
            if pid != os.getpid() and _mounts(pid) == own and (_has_environment(pid, run) or _is_nginx(pid, run)):
                found[pid] = _title(pid)
    return found


def end(run: RunDir) -> None:
    """End all processes that `find` returns, supervisord and Nginx first; raise CommandError if some survive."""
    for chosen, signum in PHASES:
        _signal(run, chosen, signum)
    if left := find(run):
        listed = ", ".join(f"{pid} ({title})" for pid, title in left.items())
        raise CommandError(
            f"{run.path}: found processes that cannot be ended: {listed}: needed root, or the account of these"
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


def _signal(run: RunDir, chosen: Callable[[str], bool], signum: int) -> None:
    """Send `signum` to the processes whose title is `chosen`; wait until they are gone, at most PATIENCE_S seconds."""
    told: set[int] = set()

    def are_gone() -> bool:
        pids = {pid for pid, title in find(run).items() if chosen(title)}
        for pid in pids - told:  # some may have started since the last call
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signum)
        told.update(pids)
        return not pids

    wait_until(are_gone, PATIENCE_S)


def _mounts(pid: int | str) -> str:
    return os.readlink(PROC / f"{pid}/ns/mnt")


def _title(pid: int) -> str:
    return (PROC / f"{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()


def _has_environment(pid: int, run: RunDir) -> bool:
    variables = (PROC / f"{pid}/environ").read_bytes().split(b"\0")
    # HOME alone may be a user's own: only processes of the kit have GATE, too.
    return b"HOME=" + os.fsencode(run.path) in variables and any(entry.startswith(b"GATE=") for entry in variables)


def _is_nginx(pid: int, run: RunDir) -> bool:
    folder = os.readlink(PROC / f"{pid}/cwd")
    removed = f"{run.path} (deleted)"
    stands_there = folder == str(run.path) or (folder == removed and not os.path.lexists(removed))
    return stands_there and _title(pid).startswith("nginx: ")

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


def find(run: RunDir) -> dict[int, str]:
    """Return process id -> title for every process that was started from this run directory.

    supervisord, gate and workers have the run directory in their environment, which all children inherit. Nginx
    overwrites its environment with its title, but its working directory is the run directory, even after removal.
    """
    mounts = _mounts("self")
    processes = {}
    for pid in (int(path.name) for path in PROC.glob("[0-9]*")):
        with suppress(OSError):  # the process has ended, or belongs to another account
            # Processes in other containers may have the same paths.
            if pid != os.getpid() and _mounts(pid) == mounts and (_has_environment(pid, run) or _is_nginx(pid, run)):
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
    is_inside = folder == str(run.path) or (folder == removed and not os.path.lexists(removed))
    return is_inside and _title(pid).startswith("nginx: ")

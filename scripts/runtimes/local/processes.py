"""supervisord's processes and their children, read from /proc."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.runtimes.local import supervisor
from scripts.runtimes.local.logs import open_log
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.transition import SHUTTING_DOWN

LOG_LINES = 12
STARTS = 3


def watch(run: RunDir, workers: Collection[str]) -> Callable[[], None]:
    """Return a function that raises CommandError, with the end of the log, if a process has ended.

    That is a process whose start failed STARTS times, or a worker that has lost a child since an earlier call:
    supervisord and gunicorn would restart them for ever.
    """
    watched = set(workers)
    known_pids: dict[str, set[int]] = {name: set() for name in watched}
    failed_starts: defaultdict[str, set[int]] = defaultdict(set)

    def check() -> None:
        for name, process in supervisor.processes(run).items():
            alive = {process.pid, *_children(process.pid)}
            ended = name in watched and known_pids[name] - alive
            if process.state == supervisor.FAILED and name in {*watched, *supervisor.GATEWAY}:
                failed_starts[name].add(process.started)
            if ended or len(failed_starts[name]) >= STARTS:
                raise CommandError(f"{name} exits as soon as it starts; its log ends with:", *log_end(run, name))
            if name in watched:
                known_pids[name] = alive

    return check


def nginx_workers(run: RunDir) -> dict[int, str]:
    """Return process id -> title for Nginx's worker processes."""
    workers = {}
    with contextlib.suppress(OSError, ValueError):
        master = int((run.path / "gateway/tmp/nginx.pid").read_text())
        for pid in _children(master):
            with contextlib.suppress(OSError):  # the process has just ended
                workers[pid] = Path(f"/proc/{pid}/cmdline").read_text().strip("\0 ")
    return workers


def taking_requests(run: RunDir) -> set[int]:
    """Return the ids of those of Nginx's worker processes that no reload has replaced."""
    return {pid for pid, title in nginx_workers(run).items() if SHUTTING_DOWN not in title}


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def log_end(run: RunDir, name: str) -> list[str]:
    """Return the last lines of a process's log."""
    try:
        with open_log(run.logs / f"{name}.log") as log:
            return log.read().splitlines()[-LOG_LINES:]
    except OSError:
        return []

"""The containers of a run directory's Compose project, as the engine shows them."""

import hashlib
import json
import os
from collections.abc import Callable, Collection
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host import docker
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.run_directory import RunDir

LOG_LINES = 12
DOWN = ("exited", "dead", "restarting")
LASTING = 3  # generations of processes in a worker's container


def project(run: RunDir) -> str:
    """A name for all that belongs to this run directory, so that several services live side by side."""
    return f"wanwu-{hashlib.sha256(os.fsencode(run.path)).hexdigest()[:8]}"


def arguments(run: RunDir) -> list[str]:
    """What comes after `docker` to address this run directory's project."""
    listed = [part for file in files(run) for part in ("--file", str(file))]
    return ["compose", "--project-name", project(run), "--env-file", str(environment_file(run)), *listed]


def files(run: RunDir) -> list[Path]:
    """What Compose reads, in its order: the file written by hand, and the rendered list of workers."""
    return [ROOT / "compose/compose.yaml", run.path / "workers.yaml"]


def environment_file(run: RunDir) -> Path:
    """The rendered variables of the first of `files`."""
    return run.path / "compose.env"


def containers(run: RunDir) -> dict[str, str]:
    """The state of every container of this run directory, by service; empty when there are none."""
    if run.runtime is None:
        return {}
    rows = run_compose(run, "ps", "--all", "--format", "json").splitlines()
    return {row["Service"]: row["State"] for row in map(json.loads, rows)}


def run_compose(run: RunDir, *command: str) -> str:
    return docker.run([*arguments(run), *command])


def watch(deployment: Deployment, workers: Collection[str]) -> Callable[[], None]:
    """Return a look that raises CommandError, with the end of its log, when a container ended instead of running.

    So did a worker's that has lost a process since an earlier look: gunicorn would start it again for ever.
    """
    watched = set(workers) or {worker.name for worker in deployment.plan.workers}
    seen: dict[str, set[int]] = {name: set() for name in watched}

    def look() -> None:
        for service, state in containers(deployment.run).items():
            lost: set[int] = set()
            if service in watched and (alive := _gunicorn(deployment.run, service)):
                lost, seen[service] = seen[service] - alive, alive
            if lost or (state in DOWN and service in {*watched, "gateway"}):
                log = run_compose(deployment.run, "logs", "--no-log-prefix", "--tail", str(LOG_LINES), service)
                raise CommandError(f"{service} ends as soon as it starts; its log ends with:", *log.splitlines())

    return look


def nginx_workers(run: RunDir) -> dict[int, str]:
    """Return the processes that Nginx answers with: the title of each, by process id."""
    found = _processes(run, "gateway")
    return {pid: title for pid, (_, title) in found.items() if title.startswith("nginx: worker process")}


def _gunicorn(run: RunDir, service: str) -> set[int]:
    """The processes of a worker's container that are to live as long as it does: init, gunicorn's master, its worker.

    What the worker starts in its turn, and is called like it until it is another program, may end when it likes.
    """
    found = _processes(run, service)

    def generation(pid: int) -> int:
        return 1 + generation(found[pid][0]) if pid in found else 0

    return {pid for pid, (_, title) in found.items() if "gunicorn" in title and generation(pid) <= LASTING}


def _processes(run: RunDir, service: str) -> dict[int, tuple[int, str]]:
    """Parent and title of every process of a container, by its id on this machine; empty while it does not run."""
    try:
        rows = docker.run(["top", f"{project(run)}-{service}-1", "-o", "pid,ppid,args"]).splitlines()[1:]
    except CommandError:
        return {}
    return {int(pid): (int(parent), title) for pid, parent, title in (row.split(maxsplit=2) for row in rows)}

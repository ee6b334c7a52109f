"""The containers of a run directory's Compose project: their states, processes and logs."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.programs import search_path
from scripts.cluster.config import ROOT
from scripts.host import docker, systemd
from scripts.render.unit import compose_unit, mount_units
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.run_directory import RunDir

LOG_LINES = 12
INHERITED_VARIABLES = ("HOME", "DOCKER_HOST", "DOCKER_CONFIG")  # which say what engine is asked, and how
ENDED_STATES = ("exited", "dead", "restarting")
PROCESS_LEVELS = 3  # levels of processes in a worker's container: init, gunicorn's master, its worker


def project(run: RunDir) -> str:
    """Return the Compose project's name, different for each run directory, so that several services can run at once."""
    return f"wanwu-{hashlib.sha256(os.fsencode(run.path)).hexdigest()[:8]}"


def arguments(run: RunDir) -> list[str]:
    """Return the arguments of `docker` that address this run directory's project."""
    file_options = [part for file in files(run) for part in ("--file", str(file))]
    return ["compose", "--project-name", project(run), "--env-file", str(environment_file(run)), *file_options]


def files(run: RunDir) -> list[Path]:
    """Return the Compose files in the order in which they are merged: the static one, then the rendered workers."""
    return [ROOT / "compose/compose.yaml", run.path / "workers.yaml"]


def environment_file(run: RunDir) -> Path:
    """Return the path of the rendered variables for the static Compose file."""
    return run.path / "compose.env"


def containers(run: RunDir) -> dict[str, str]:
    """Return service name -> state for the containers of this run directory; empty if there are none."""
    if run.runtime is None:
        return {}
    rows = run_compose(run, "ps", "--all", "--format", "json").splitlines()
    return {row["Service"]: row["State"] for row in map(json.loads, rows)}


def run_compose(run: RunDir, *command: str) -> str:
    return docker.run([*arguments(run), *command])


def boot_unit(run: RunDir, models: Iterable[Path]) -> str:
    """Return the systemd unit that starts these containers at boot; `models` are their folders."""
    program = shutil.which("docker", path=search_path()) or "docker"
    command = [program, *arguments(run), "up", "--detach", "--no-recreate", "--no-build"]
    volumes = mount_units([run.path, *models], systemd.mount_points())
    environment = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return compose_unit(run.path, command, environment, volumes, systemd.version())


def watch(deployment: Deployment, workers: Collection[str]) -> Callable[[], None]:
    """Return a function that raises CommandError, with the end of the log, if a container has ended.

    A worker's container counts as ended, too, if it has lost a process since an earlier call: gunicorn would restart
    that process for ever. Without `workers`, watch all workers of the plan.
    """
    watched = set(workers) or {worker.name for worker in deployment.plan.workers}
    known_pids: dict[str, set[int]] = {name: set() for name in watched}

    def check() -> None:
        for service, state in containers(deployment.run).items():
            lost: set[int] = set()
            if service in watched and (alive := _gunicorn_pids(deployment.run, service)):
                lost, known_pids[service] = known_pids[service] - alive, alive
            if lost or (state in ENDED_STATES and service in {*watched, "gateway"}):
                log = run_compose(deployment.run, "logs", "--no-log-prefix", "--tail", str(LOG_LINES), service)
                raise CommandError(f"{service} exits as soon as it starts; its log ends with:", *log.splitlines())

    return check


def nginx_workers(run: RunDir) -> dict[int, str]:
    """Return process id -> title for Nginx's worker processes."""
    processes = _processes(run, "gateway")
    return {pid: title for pid, (_, title) in processes.items() if title.startswith("nginx: worker process")}


def _gunicorn_pids(run: RunDir, service: str) -> set[int]:
    """Return the ids of the processes that must live as long as the worker's container: the first PROCESS_LEVELS.

    Children of gunicorn's worker may end at any time; until they execute another program they have the same title.
    """
    processes = _processes(run, service)

    def generation(pid: int) -> int:
        return 1 + generation(processes[pid][0]) if pid in processes else 0

    return {pid for pid, (_, title) in processes.items() if "gunicorn" in title and generation(pid) <= PROCESS_LEVELS}


def _processes(run: RunDir, service: str) -> dict[int, tuple[int, str]]:
    """Return process id on this machine -> (parent's id, title) for a container; empty while it does not run."""
    try:
        rows = docker.run(["top", f"{project(run)}-{service}-1", "-o", "pid,ppid,args"]).splitlines()[1:]
    except CommandError:
        return {}
    return {int(pid): (int(parent), title) for pid, parent, title in (row.split(maxsplit=2) for row in rows)}

"""The containers of a run directory's Compose project: their states, processes and logs."""

import os
import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.programs import search_path
from scripts.host import docker, systemd
from scripts.render.compose import GATEWAY, PARTS
from scripts.render.unit import compose_unit, mount_units
from scripts.runtimes import unit_file
from scripts.runtimes.run_directory import RunDir

ENVIRONMENT, COMPOSE, WORKERS = "compose.env", "compose.yaml", "workers.yaml"  # in the run directory
LOG_LINES = 12
INHERITED_VARIABLES = ("HOME", "DOCKER_HOST", "DOCKER_CONFIG")  # which say what engine is asked, and how
ENDED_STATES = ("exited", "dead", "restarting")
PROCESS_LEVELS = 3  # levels of processes in a worker's container: init, gunicorn's master, its worker


def project(run: RunDir) -> str:
    """Return the Compose project's name."""
    return unit_file.service_name(run)


def arguments(run: RunDir) -> list[str]:
    """Return the arguments of `docker` that address this run directory's project."""
    file_options = [part for file in files(run) for part in ("--file", str(file))]
    return ["compose", "--project-name", project(run), "--env-file", str(environment_file(run)), *file_options]


def files(run: RunDir) -> list[Path]:
    """Return the Compose files in the order in which they are merged: the static one, then the rendered workers."""
    return [run.path / COMPOSE, run.path / WORKERS]


def environment_file(run: RunDir) -> Path:
    """Return the path of the rendered variables for the static Compose file."""
    return run.path / ENVIRONMENT


@dataclass(frozen=True)
class Container:
    """A container of the project: its service, its state and what Compose made it from."""

    id: str
    state: str
    service: str
    config: str  # Compose's hash


def containers(run: RunDir) -> list[Container]:
    """Return the containers of this run directory; by their labels, for another kit's files may have made them."""
    if run.runtime is None:
        return []
    labels = [f'{{{{.Label "com.docker.compose.{name}"}}}}' for name in ("service", "config-hash")]
    shown = " ".join(["{{.ID}}", "{{.State}}", *labels])
    chosen = ["--filter", f"label=com.docker.compose.project={project(run)}", "--format", shown]
    rows = docker.run(["ps", "--all", "--no-trunc", *chosen]).splitlines()
    return [
        Container(id=one, service=name, state=state, config=config) for one, state, name, config in map(str.split, rows)
    ]


def run_compose(run: RunDir, *command: str) -> str:
    return docker.run([*arguments(run), *command])


def remove(found: Collection[Container]) -> None:
    """Stop and remove containers, after they have answered their requests in flight."""
    if ids := [one.id for one in found]:
        docker.run(["stop", *ids])
        docker.run(["rm", "--force", *ids])


def remove_volumes(run: RunDir) -> None:
    """Remove the volumes that no container has any more: caches of workers that are gone."""
    chosen = ["--filter", f"label=com.docker.compose.project={project(run)}", "--filter", "dangling=true"]
    if names := docker.run(["volume", "ls", "--quiet", *chosen]).split():
        docker.run(["volume", "rm", *names])


def end_of_log(container: Container) -> list[str]:
    return docker.run_combined_output(["logs", "--tail", str(LOG_LINES), container.id]).splitlines()


def boot_unit(run: RunDir, models: Iterable[Path]) -> str:
    """Return the systemd unit that starts these containers at boot; `models` are their folders."""
    program = shutil.which("docker", path=search_path()) or "docker"
    command = [program, *arguments(run), "up", "--detach", "--no-recreate", "--no-build"]
    volumes = mount_units([run.path, *models], systemd.mount_points())
    environment = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return compose_unit(run.path, command, environment, volumes, systemd.version())


def watch(run: RunDir, workers: Collection[str]) -> Callable[[], None]:
    """Return a function that raises CommandError, with the end of the log, if a container has ended.

    A worker's container counts as ended, too, if it has lost a process since an earlier call: gunicorn would restart
    that process for ever.
    """
    watched = set(workers)
    known_pids: dict[str, set[int]] = {name: set() for name in watched}

    def check() -> None:
        for one in containers(run):
            lost: set[int] = set()
            if one.service in watched and (alive := _gunicorn_pids(one)):
                lost, known_pids[one.service] = known_pids[one.service] - alive, alive
            if lost or (one.state in ENDED_STATES and one.service in {*watched, *PARTS}):
                raise CommandError(f"{one.service} exits as soon as it starts; its log ends with:", *end_of_log(one))

    return check


def nginx_workers(run: RunDir) -> dict[int, str]:
    """Return process id -> title for Nginx's worker processes."""
    found = [processes(one) for one in containers(run) if one.service == GATEWAY]
    titles = {pid: title for each in found for pid, (_, title) in each.items()}
    return {pid: title for pid, title in titles.items() if title.startswith("nginx: worker process")}


def _gunicorn_pids(container: Container) -> set[int]:
    """Return the ids of the processes that must live as long as the worker's container: the first PROCESS_LEVELS.

    Children of gunicorn's worker may end at any time; until they execute another program they have the same title.
    """
    found = processes(container)

    def generation(pid: int) -> int:
        return 1 + generation(found[pid][0]) if pid in found else 0

    return {pid for pid, (_, title) in found.items() if "gunicorn" in title and generation(pid) <= PROCESS_LEVELS}


def processes(container: Container) -> dict[int, tuple[int, str]]:
    """Return process id on this machine -> (parent's id, title) for a container; empty while it does not run."""
    try:
        rows = docker.run(["top", container.id, "-o", "pid,ppid,args"]).splitlines()[1:]
    except CommandError:
        return {}
    return {int(pid): (int(parent), title) for pid, parent, title in (row.split(maxsplit=2) for row in rows)}

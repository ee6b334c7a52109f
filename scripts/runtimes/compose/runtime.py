"""The compose runtime: a container for every slot and one for the gateway, on this machine's Docker engine."""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from scripts.base.console import say, step
from scripts.base.errors import Refusal
from scripts.cluster.config import ROOT
from scripts.host import docker, images
from scripts.host.images import Image
from scripts.render import compose as render_compose
from scripts.render.common import members
from scripts.runtimes.deployment import Site
from scripts.runtimes.preflight import memory_faults, memory_limit, port_faults
from scripts.runtimes.rolling import replace_each
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.waiting import wait_in

MEMBERS = "members/members.json"
LOG_LINES = 12
DOWN = ("exited", "dead", "restarting")
LASTING = 3  # generations of processes in a worker's container


def up(site: Site) -> None:
    """Build what is missing, bring everything up, and wait until every worker is in.

    When a first start fails, nothing is left running.
    """
    fresh = not is_running(site.run)
    if fresh:
        if faults := [*port_faults([site.cluster.port]), *memory_faults(site.plan, site.hardware, site.models)]:
            raise Refusal(*faults)
        site.run.remove()  # what a runtime left that serves no more
    build(site)
    write(site)
    step("starting workers and the gateway")
    try:
        _compose(site.run, "up", "--detach", "--remove-orphans")
        wait(site)
    except (Refusal, KeyboardInterrupt):
        if fresh:
            down(site.run)
        raise


def down(run: RunDir) -> None:
    """Stop and remove containers, networks and the cache; images and models stay."""
    if run.runtime is None:
        say("nothing is running")
        return
    _require_engine()
    step("stopping: what is in flight is answered first")
    _compose(run, "down", "--remove-orphans", "--volumes")
    run.remove()


def rollout(site: Site) -> None:
    """Replace the workers one at a time, as replace_each says."""
    if not is_running(site.run):
        raise Refusal("nothing is running here: run `make up` first")
    build(site)
    write(site)

    def replace(worker: str) -> None:
        _compose(site.run, "up", "--detach", "--no-deps", "--force-recreate", worker)

    replace_each(site, replace, lambda: wait(site))


def follow_logs(run: RunDir, lines: int, follow: bool) -> None:
    """Show the end of every container's log, and with `follow` all that comes after."""
    if run.runtime is None:
        raise Refusal(f"{run.path}: no logs: nothing was started here, run `make up`")
    docker.show([*arguments(run), "logs", "--tail", str(lines), *(["--follow"] if follow else [])])


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
    rows = _compose(run, "ps", "--all", "--format", "json").splitlines()
    return {row["Service"]: row["State"] for row in map(json.loads, rows)}


def is_running(run: RunDir) -> bool:
    _require_engine()
    return bool(containers(run))


def build(site: Site) -> None:
    """Build the images that the containers of `site` run, where they are missing; raise Refusal."""
    images.ensure([images.GATEWAY, *_worker_images(site).values()])


def write(site: Site) -> None:
    """Write all that Compose and the gateway read."""
    site.run.write(rendered(site))
    # The gateway looks in under an account of its own, whatever the umask here.
    (site.run.path / MEMBERS).parent.chmod(0o755)


def _worker_images(site: Site) -> dict[str, Image]:
    return images.worker_images(site.models, gpu=bool(site.hardware.gpus))


def rendered(site: Site) -> dict[str, str]:
    """Return what lies in the run directory of `site`: path to text. Builds nothing."""
    cluster, plan = site.cluster, site.plan
    references = {name: image.reference for name, image in _worker_images(site).items()}
    memory = {name: memory_limit(model) for name, model in site.models.items()}
    addresses = {worker.name: f"{worker.name}:{render_compose.PORT}" for worker in plan.workers}
    worker_yaml = ROOT / "compose/worker.yaml"
    folder = (site.run.path / MEMBERS).parent
    return {
        "runtime": "compose\n",
        "compose.env": render_compose.environment(cluster, images.GATEWAY.reference, folder),
        MEMBERS: members(cluster, plan, addresses),
        "workers.yaml": render_compose.workers(cluster, plan, references, memory, worker_yaml),
    }


def start(run: RunDir, worker: str) -> None:
    """Start one worker more, which the rendered files have already."""
    _compose(run, "up", "--detach", "--no-deps", "--no-recreate", worker)


def remove(run: RunDir, workers: Iterable[str]) -> None:
    """Stop the workers, which answer what they have first, and take their containers away."""
    if present := sorted(containers(run).keys() & set(workers)):
        _compose(run, "rm", "--stop", "--force", *present)


def wait(site: Site, workers: Collection[str] = ()) -> None:
    """Return once `workers`, or all of the plan, are in rotation; raises Refusal with the reason when they cannot."""
    wait_in(site, _watch(site, workers), workers)


def gateway(run: RunDir) -> dict[int, str]:
    """The processes that Nginx answers with: the title of each, by process id."""
    found = _processes(run, "gateway")
    return {pid: title for pid, (_, title) in found.items() if title.startswith("nginx: worker process")}


def _require_engine() -> None:
    if fault := docker.engine_fault():
        raise Refusal(fault)


def _compose(run: RunDir, *command: str) -> str:
    return docker.run([*arguments(run), *command])


def _watch(site: Site, workers: Collection[str]) -> Callable[[], None]:
    """A look that raises Refusal, with the end of its log, when a container ended instead of running.

    So did a worker's that has lost a process since an earlier look: gunicorn would start it again for ever.
    """
    watched = set(workers) or {worker.name for worker in site.plan.workers}
    seen: dict[str, set[int]] = {name: set() for name in watched}

    def look() -> None:
        for service, state in containers(site.run).items():
            lost: set[int] = set()
            if service in watched and (alive := _gunicorn(site.run, service)):
                lost, seen[service] = seen[service] - alive, alive
            if lost or (state in DOWN and service in {*watched, "gateway"}):
                log = _compose(site.run, "logs", "--no-log-prefix", "--tail", str(LOG_LINES), service)
                raise Refusal(f"{service} ends as soon as it starts; its log ends with:", *log.splitlines())

    return look


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
    except Refusal:
        return {}
    return {int(pid): (int(parent), title) for pid, parent, title in (row.split(maxsplit=2) for row in rows)}

"""The compose runtime: a container for every slot and one for the gateway, on this machine's Docker engine."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from scripts import docker, images, render_compose
from scripts.cluster import ROOT
from scripts.console import say, step
from scripts.preflight import memory_faults, memory_limit, port_faults
from scripts.refusal import Refusal
from scripts.render import members
from scripts.rolling import replace_each
from scripts.rundir import RunDir
from scripts.site import Site
from scripts.waiting import wait_in

LOG_LINES = 12
DOWN = ("exited", "dead", "restarting")


def up(site: Site) -> None:
    """Build what is missing, bring everything up, and wait until every worker is in.

    When a first start fails, nothing is left running.
    """
    _require_engine()
    fresh = not containers(site.run)
    if fresh and (faults := [*port_faults([site.cluster.port]), *memory_faults(site.plan, site.hardware, site.models)]):
        raise Refusal(*faults)
    render(site)
    step("starting workers and the gateway")
    try:
        _compose(site.run, "up", "--detach", "--remove-orphans")
        _wait(site)
    except (Refusal, KeyboardInterrupt):
        if fresh:
            down(site.run)
        raise


def down(run: RunDir) -> None:
    """Stop and remove containers and networks; images and models stay."""
    if run.runtime is None:
        say("nothing is running")
        return
    _require_engine()
    step("stopping: what is in flight is answered first")
    _compose(run, "down", "--remove-orphans")
    run.remove()


def rollout(site: Site) -> None:
    """Replace the workers one at a time, as replace_each says."""
    _require_engine()
    if not containers(site.run):
        raise Refusal("nothing is running here: run `make up` first")
    render(site)

    def replace(worker: str) -> None:
        _compose(site.run, "up", "--detach", "--no-deps", "--force-recreate", worker)

    replace_each(site, replace, lambda: _wait(site))


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


def render(site: Site) -> None:
    """Build the images that are missing, and write all that Compose and the gateway read; raises Refusal."""
    gpu = bool(site.hardware.gpus)
    chosen = {name: images.worker_image(model.engine, gpu) for name, model in site.models.items()}
    images.ensure([images.GATEWAY, *chosen.values()])
    cluster, plan = site.cluster, site.plan
    references = {name: image.reference for name, image in chosen.items()}
    memory = {name: memory_limit(model) for name, model in site.models.items()}
    addresses = {worker.name: f"{worker.name}:{render_compose.PORT}" for worker in plan.workers}
    worker_yaml = ROOT / "compose/worker.yaml"
    known = site.run.path / "members/members.json"
    site.run.write(
        {
            "runtime": "compose\n",
            "compose.env": render_compose.environment(cluster, images.GATEWAY.reference, known.parent),
            "members/members.json": members(cluster, plan, addresses),
            "workers.yaml": render_compose.workers(cluster, plan, references, memory, worker_yaml),
        }
    )
    # The gateway reads them under an account of its own, whatever the umask here.
    known.parent.chmod(0o755)
    known.chmod(0o644)


def _require_engine() -> None:
    if fault := docker.engine_fault():
        raise Refusal(fault)


def _compose(run: RunDir, *command: str) -> str:
    return docker.run([*arguments(run), *command])


def _wait(site: Site) -> None:
    wait_in(site, lambda: _refuse_dead(site.run))


def _refuse_dead(run: RunDir) -> None:
    """Raise Refusal, with the end of its log, when a container ended instead of running."""
    for service in _dead(run):
        log = _compose(run, "logs", "--no-log-prefix", "--tail", str(LOG_LINES), service)
        raise Refusal(f"{service} ends as soon as it starts; its log ends with:", *log.splitlines())


def _dead(run: RunDir) -> Iterator[str]:
    return (service for service, state in containers(run).items() if state in DOWN)

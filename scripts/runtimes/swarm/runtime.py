"""The swarm runtime: on many servers, a service for every model with a task for every slot, and a gateway for all."""

import os
import subprocess
from collections.abc import Mapping

from scripts.base.console import say, step
from scripts.base.errors import Refusal
from scripts.cluster.config import ROOT
from scripts.host import docker, images, offline
from scripts.render import swarm as render_swarm
from scripts.runtimes.preflight import memory_limit
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.swarm.deployment import SwarmSite
from scripts.runtimes.swarm.nodes import GATEWAY, SERVER, STACK, Node, Service, read_nodes, read_services, read_tasks
from scripts.runtimes.swarm.waiting import ROLLED_BACK, Before, remember, wait, wait_empty, wait_gone

MEMBERS, WORKERS = "members.json", "stack-workers.yaml"


def up(site: SwarmSite) -> None:
    """Bring everything up on all servers and wait until every worker is in rotation at every gateway.

    A service that runs goes over one worker at a time, and back when that fails; a first start that fails is ended.
    """
    fresh = not is_running(site.run)
    _refuse_left_over(site)
    build(site)
    files = rendered(site)
    site.run.write(files)
    _label(site)
    before = remember()
    step("starting workers and gateways")
    try:
        _deploy(site, files)
        wait(site, before)
    except (Refusal, KeyboardInterrupt):
        if fresh:
            down(site.run)
        raise


def down(run: RunDir) -> None:
    """Stop and remove every task, network and config on all servers; their caches, images and models stay."""
    if not is_running(run):
        say("nothing is running")
        run.remove()
        return
    step("stopping: what is in flight is answered first")
    docker.run(["stack", "rm", STACK])
    wait_gone()
    run.remove()


def rollout(site: SwarmSite) -> None:
    """Replace the workers one at a time, one service after the other; raises Refusal where some do not run."""
    _change(site, ["service", "update", "--force"])


def rollback(site: SwarmSite) -> None:
    """Bring back what every model's service was before its last change, one worker at a time; raises Refusal."""
    _change(site, ["service", "rollback"], accepted=ROLLED_BACK)


def drain(site: SwarmSite, server: str, node: Node) -> None:
    """Stop what runs on `server`, which answers what it has first; `site` is planned without it."""
    step(f"draining {server}: what is in flight is answered first")
    docker.run(["node", "update", "--availability", "drain", node.id])
    wait_empty(node)
    before = remember()
    for service in read_services():
        if service.replicas is not None and (count := replicas(site)[service.name]) != service.replicas:
            docker.run(["service", "update", "--detach", "--replicas", str(count), service.name])
    wait(site, before)
    say(f"\n{server} serves no more and may be taken away: take its table out of {site.cluster.source} and `make up`")
    say("`make up` with the table still there lets it serve again")


def follow_logs(run: RunDir, lines: int, follow: bool) -> None:
    """Show the end of every service's log, and with `follow` all that comes after."""
    if not is_running(run):
        raise Refusal("no logs: nothing was started in this swarm, run `make up`")
    options = ["--tail", str(lines), *(["--follow"] if follow else [])]
    shown = [subprocess.Popen(["docker", "service", "logs", *options, service.name]) for service in read_services()]
    for process in shown:
        process.wait()


def is_running(run: RunDir) -> bool:
    """Whether the swarm has our stack, wherever it was started from."""
    if not docker.is_swarm_manager():
        raise Refusal("found no engine that manages a swarm: run this on a manager, or give another RUNTIME=")
    return bool(read_services())


def build(site: SwarmSite) -> None:
    """Build the images that the tasks of `site` run, where they are missing; raise Refusal."""
    images.ensure([images.GATEWAY, *images.worker_images(site.models, site.has_gpus).values()])


def rendered(site: SwarmSite) -> dict[str, str]:
    """Return what lies in the run directory of `site`: path to text. Builds nothing."""
    chosen = images.worker_images(site.models, site.has_gpus)
    pools = {
        model.name: render_swarm.Pool(
            site.replicas[model.name],
            chosen[model.name].reference,
            memory_limit(site.models[model.name]),
            site.volumes[model.name],
            site.has_gpus,
        )
        for model in site.cluster.models
    }
    return {
        "runtime": "swarm\n",
        MEMBERS: render_swarm.members(site.cluster, STACK),
        WORKERS: render_swarm.workers(site.cluster, pools, offline.variables(), _monitor()),
    }


def replicas(site: SwarmSite) -> dict[str, int]:
    """How many tasks each model's service is to have, by the service's name."""
    return {f"{STACK}_{render_swarm.service_name(model)}": count for model, count in site.replicas.items()}


def _deploy(site: SwarmSite, files: Mapping[str, str]) -> None:
    variables = render_swarm.environment(
        site.cluster, images.GATEWAY.reference, str(site.run.path / MEMBERS), files[MEMBERS], _monitor()
    )
    listed = [f"--compose-file={file}" for file in (ROOT / "compose/stack.yaml", site.run.path / WORKERS)]
    # No registry is asked: the images are on every server, under names that say what is in them.
    options = ["--detach=true", "--prune", "--resolve-image=never"]
    docker.run(["stack", "deploy", *options, *listed, STACK], {**os.environ, **variables})


def _monitor() -> str:
    """Return how long Swarm watches a change: WANWU_MONITOR, where someone cannot wait."""
    return os.environ.get("WANWU_MONITOR", render_swarm.MONITOR)


def _refuse_left_over(site: SwarmSite) -> None:
    """Raise Refusal when tasks run on a server that the file no longer names."""
    serving = {task.node for task in read_tasks(read_services()) if task.running}
    chosen = {node.id for node in site.nodes.values()}
    for node in read_nodes():
        if node.id in serving - chosen and node.active and node.ready:
            name = node.labels.get(SERVER, node.hostname)
            raise Refusal(
                f"{site.cluster.source}: servers: {name} still serves and is not there: "
                f"put it back, `make drain SERVER={name}`, and take it out then"
            )


def _label(site: SwarmSite) -> None:
    """Make nodes of exactly the cluster's servers take workers, and gateways where the file says so."""
    server_of = {node.id: server for server, node in site.nodes.items()}
    for node in read_nodes():
        if server := server_of.get(node.id):
            stands = "true" if server in site.gateways else "false"
            wanted = {SERVER: server, render_swarm.SERVES: "true", GATEWAY: stands}
            if not node.active or any(node.labels.get(key) != value for key, value in wanted.items()):
                labels = [part for key, value in wanted.items() for part in ("--label-add", f"{key}={value}")]
                docker.run(["node", "update", "--availability", "active", *labels, node.id])
        elif ours := [key for key in (SERVER, render_swarm.SERVES, GATEWAY) if key in node.labels]:
            docker.run(["node", "update", *(part for key in ours for part in ("--label-rm", key)), node.id])


def _change(site: SwarmSite, command: list[str], accepted: str = "") -> None:
    """Run `docker COMMAND SERVICE` for each model's service in turn, each when the one before is settled."""
    for service in _complete_services():
        step(f"{' '.join(command)}: {service.name}")
        before: Before = remember()
        docker.run([*command, "--detach", service.name])
        wait(site, before, accepted)


def _complete_services() -> list[Service]:
    """The models' services; raises Refusal where there are none, or where fewer tasks run than should."""
    services = [service for service in read_services() if service.replicas is not None]
    if not services:
        raise Refusal("nothing is running here: run `make up` first")
    tasks = read_tasks(services)
    for service in services:
        running = sum(task.running and task.service == service.id for task in tasks)
        if running < (service.replicas or 0):
            raise Refusal(
                f"{service.name}: found {running} of {service.replicas} workers running, needed all before others are "
                "replaced; see `make status`"
            )
    return services

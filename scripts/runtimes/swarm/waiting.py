"""Wait until the swarm has applied a change, and report each new task meanwhile."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.host import docker
from scripts.render.swarm import service_name
from scripts.runtimes.swarm.deployment import SwarmDeployment
from scripts.runtimes.swarm.nodes import (
    GATEWAY,
    SERVER,
    STACK,
    Node,
    Service,
    Task,
    read_nodes,
    read_services,
    read_tasks,
)

WAIT_S = 600  # many workers may each load a large network, one after the other
LOOK_S = 0.5
LOG_LINES = 6
CHANGING = ("updating", "rollback_started")
ROLLED_BACK = "rollback_completed"
GIVEN_UP = (ROLLED_BACK, "rollback_paused", "paused")
ENDED = ("failed", "rejected", "complete", "shutdown", "orphaned", "remove")
FAILED = ("failed", "rejected")
PATIENCE = 3  # failed tasks of a first start; an update is rolled back at the first one


@dataclass(frozen=True)
class Before:
    """The state before a change: the tasks' ids, and the id of each service with the start of its last update."""

    tasks: frozenset[str]
    updates: frozenset[tuple[str, str]]


def remember() -> Before:
    services = read_services()
    return Before(
        frozenset(task.id for task in read_tasks(services)),
        frozenset((service.id, service.updated) for service in services),
    )


def wait(deployment: SwarmDeployment, before: Before, accepted: str = "") -> None:
    """Return once every task matches its service and every worker is in rotation at every gateway.

    Raise CommandError, with Swarm's reason and the worker's log, if an update since `before` ends in a state of
    GIVEN_UP other than `accepted`, or if tasks of a first start fail; and after WAIT_S seconds.
    """
    seen: dict[str, str] = {}

    def arrived() -> bool:
        services = read_services()
        tasks = [task for task in read_tasks(services) if task.id not in before.tasks or task.wanted == "running"]
        _tell(services, tasks, before, seen)
        for service in services:
            _refuse_given_up(service, tasks, before, accepted)
        standing = [node for node in read_nodes() if _has_gateway(node)]
        settled = all(_is_settled(service, tasks, standing) for service in services)
        return settled and _are_in(deployment, services, standing)

    _until(arrived, "the swarm is not as it should be")


def wait_empty(node: Node) -> None:
    """Return once no task runs on the node, or if it does not answer: nobody can reach its tasks then."""

    def is_empty() -> bool:
        tasks = read_tasks(read_services())
        return not node.ready or all(task.node != node.id or task.state in ENDED for task in tasks)

    _until(is_empty, f"{node.hostname} still runs tasks")


def wait_gone() -> None:
    """Return once no node that answers has a task of the stack."""

    def is_gone() -> bool:
        nodes = [node.id for node in read_nodes() if node.ready]
        return not docker.run(["node", "ps", "--quiet", "--filter", f"name={STACK}_", *nodes]).split()

    _until(is_gone, "tasks are still there")


def _until(arrived: Callable[[], bool], otherwise: str) -> None:
    if not wait_until(arrived, WAIT_S, LOOK_S):
        raise CommandError(f"{otherwise} after {WAIT_S} seconds; see `make status` and `make logs`")


def _tell(services: Sequence[Service], tasks: Iterable[Task], before: Before, seen: dict[str, str]) -> None:
    """Print a line for every new task that runs or has failed, with the reason."""
    names = {service.id: service.name.removeprefix(f"{STACK}_") for service in services}
    for task in tasks:
        if task.id not in before.tasks and seen.get(task.id) != task.state and task.state in ("running", *FAILED):
            seen[task.id] = task.state
            place = task.slot or f"task {task.id[:12]}"
            say(f"   {names[task.service]} on {place}: {task.state}{f', {task.said}' if task.state in FAILED else ''}")


def _refuse_given_up(service: Service, tasks: Sequence[Task], before: Before, accepted: str) -> None:
    """Raise CommandError if the service's update was given up, or if PATIENCE tasks of its first start failed."""
    failed = [
        task for task in tasks if task.service == service.id and task.state in FAILED and task.id not in before.tasks
    ]
    is_new = (service.id, service.updated) not in before.updates
    if is_new and service.update in GIVEN_UP and service.update != accepted:
        what = "what ran before serves on" if service.update == ROLLED_BACK else "see `make status`"
        raise CommandError(
            f"{service.name}: the update failed and was given up ({service.update}): {what}", *_why(failed)
        )
    if not service.update and len(failed) >= PATIENCE:
        raise CommandError(f"{service.name}: its tasks end as soon as they start:", *_why(failed))


def _why(failed: Sequence[Task]) -> list[str]:
    """Return Swarm's reason for the last failed task, and the end of its log."""
    if not failed:
        return []
    log = docker.run_combined_output(["service", "logs", "--raw", "--tail", str(LOG_LINES), failed[0].id])
    return [f"{failed[0].slot or failed[0].id[:12]}: {failed[0].said}", *log.splitlines()]


def _is_settled(service: Service, tasks: Sequence[Task], standing: Sequence[Node]) -> bool:
    """Return whether the service runs as many tasks as it should, all of them with its current spec."""
    own = [task for task in tasks if task.service == service.id and task.wanted == "running"]
    current = [task for task in own if task.running and task.spec == service.spec]
    wanted = len(standing) if service.replicas is None else service.replicas
    return service.update not in CHANGING and len(own) == len(current) == wanted


def _has_gateway(node: Node) -> bool:
    return node.active and node.ready and node.labels.get(GATEWAY) == "true"


def _are_in(deployment: SwarmDeployment, services: Sequence[Service], standing: Sequence[Node]) -> bool:
    """Return whether every worker is in rotation at the gateway of every node in `standing`."""
    servers = {node.labels.get(SERVER) for node in standing}
    counts = {service.name: service.replicas for service in services}
    wanted = {model.name: counts.get(f"{STACK}_{service_name(model.name)}") for model in deployment.cluster.models}
    return all(_listed(url) == wanted for server, url in deployment.gateways.items() if server in servers)


def _listed(gateway: str) -> dict[str, int]:
    """Return model name -> number of its workers in rotation at `gateway`."""
    _, status = get(f"{gateway}/status")
    return {model["name"]: model["workers_in"] for model in status.get("models", [])}

"""Wait until the swarm has applied a change, and report each new task meanwhile."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.host import docker
from scripts.render.swarm import service_name
from scripts.runtimes.swarm import consensus
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

CHANGE_TIMEOUT_S = 600  # many workers may each load a large network, one after the other
LOG_LINES = 6
UPDATING_STATES = ("updating", "rollback_started")
ROLLED_BACK = "rollback_completed"
ABANDONED_STATES = (ROLLED_BACK, "rollback_paused", "paused")
ENDED_STATES = ("failed", "rejected", "complete", "shutdown", "orphaned", "remove")
FAILED_STATES = ("failed", "rejected")
MAX_FAILED_TASKS = 3  # failed tasks of a first start; an update is rolled back at the first one


@dataclass(frozen=True)
class Snapshot:
    """The state before a change: the tasks' ids, and the id of each service with the start of its last update."""

    tasks: frozenset[str]
    updates: frozenset[tuple[str, str]]


def take_snapshot() -> Snapshot:
    services = read_services()
    return Snapshot(
        frozenset(task.id for task in read_tasks(services)),
        frozenset((service.id, service.updated) for service in services),
    )


def wait(deployment: SwarmDeployment, before: Snapshot, accepted: str = "") -> None:
    """Return once every task matches its service and every worker is in rotation at every gateway.

    Raise CommandError, with Swarm's reason and the worker's log, if an update since `before` ends in a state of
    ABANDONED_STATES other than `accepted`, or if tasks of a first start fail; and after CHANGE_TIMEOUT_S seconds.
    """
    reported: dict[str, str] = {}

    def is_complete() -> bool:
        services = read_services()
        tasks = read_tasks(services)
        tasks = [task for task in tasks if task.id not in before.tasks or task.desired_state == "running"]
        _report_tasks(services, tasks, before, reported)
        for service in services:
            _check_update(service, tasks, before, accepted)
        pools = [(one, one.replicas) for one in services if one.replicas is not None]
        if not all(_is_settled(service, tasks, replicas) for service, replicas in pools):
            return False
        gateway_nodes = [node for node in read_nodes() if _has_gateway(node)]  # last: few looks come to this
        everywhere = [one for one in services if one.replicas is None]
        settled = all(_is_settled(one, tasks, len(gateway_nodes)) for one in everywhere)
        return settled and _all_in_rotation(deployment, services, gateway_nodes)

    _wait_for(is_complete, "the change is not complete")


def wait_answering(deployment: SwarmDeployment) -> None:
    """Return once every gateway leads requests to workers.

    On a first start Nginx knows no worker at all until it has gone over to the list that the gate reports, and its
    former processes take requests for a moment longer: the second look in turn is the one that counts.
    """
    looks = 0

    def are_answering() -> bool:
        nonlocal looks
        codes = [get(f"{url}/openapi.json", key=deployment.key)[0] for url in deployment.gateways.values()]
        looks = looks + 1 if all(code == HTTPStatus.OK for code in codes) else 0
        return looks == 2

    _wait_for(are_answering, "no worker answers at some gateways")


def wait_empty(node: Node) -> None:
    """Return once no task runs on the node, or if it does not answer: nobody can reach its tasks then."""

    def is_empty() -> bool:
        tasks = read_tasks(read_services())
        return not node.ready or all(task.node != node.id or task.state in ENDED_STATES for task in tasks)

    _wait_for(is_empty, f"{node.hostname} still runs tasks")


def wait_gone() -> None:
    """Return once no node that answers has a task of the stack."""

    def is_gone() -> bool:
        nodes = [node.id for node in read_nodes() if node.ready]
        return not consensus.run(["node", "ps", "--quiet", "--filter", f"name={STACK}_", *nodes]).split()

    _wait_for(is_gone, "tasks are still running")


def _wait_for(condition: Callable[[], bool], fault: str) -> None:
    if not wait_until(condition, CHANGE_TIMEOUT_S, consensus.INTERVAL_S):
        raise CommandError(f"{fault} after {CHANGE_TIMEOUT_S} seconds; see `make status` and `make logs`")


def _report_tasks(
    services: Sequence[Service], tasks: Iterable[Task], before: Snapshot, reported: dict[str, str]
) -> None:
    """Print a line for every new task that runs or has failed, with the reason."""
    names = {service.id: service.name.removeprefix(f"{STACK}_") for service in services}
    for task in tasks:
        is_news = task.id not in before.tasks and reported.get(task.id) != task.state
        if is_news and task.state in ("running", *FAILED_STATES):
            reported[task.id] = task.state
            location = task.slot or f"task {task.id[:12]}"
            reason = f", {task.message}" if task.state in FAILED_STATES else ""
            say(f"   {names[task.service]} on {location}: {task.state}{reason}")


def _check_update(service: Service, tasks: Sequence[Task], before: Snapshot, accepted: str) -> None:
    """Raise CommandError if the service's update was abandoned, or if its first start had MAX_FAILED_TASKS failures."""
    failed = [
        task
        for task in tasks
        if task.service == service.id and task.state in FAILED_STATES and task.id not in before.tasks
    ]
    is_new = (service.id, service.updated) not in before.updates
    if is_new and service.update in ABANDONED_STATES and service.update != accepted:
        outcome = "the previous version is still being served" if service.update == ROLLED_BACK else "see `make status`"
        raise CommandError(
            f"{service.name}: the update failed and was abandoned ({service.update}): {outcome}",
            *_failure_lines(failed),
        )
    if not service.update and len(failed) >= MAX_FAILED_TASKS:
        raise CommandError(f"{service.name}: its tasks exit as soon as they start:", *_failure_lines(failed))


def _failure_lines(failed: Sequence[Task]) -> list[str]:
    """Return Swarm's reason for the last failed task, and the end of its log."""
    if not failed:
        return []
    log = docker.run_combined_output(["service", "logs", "--raw", "--tail", str(LOG_LINES), failed[0].id])
    return [f"{failed[0].slot or failed[0].id[:12]}: {failed[0].message}", *log.splitlines()]


def _is_settled(service: Service, tasks: Sequence[Task], expected: int) -> bool:
    """Return whether the service runs `expected` tasks and no others, all of them with its current spec."""
    own = [task for task in tasks if task.service == service.id and task.desired_state == "running"]
    current = [task for task in own if task.running and task.spec == service.spec]
    return service.update not in UPDATING_STATES and len(own) == len(current) == expected


def _has_gateway(node: Node) -> bool:
    return node.active and node.ready and node.labels.get(GATEWAY) == "true"


def _all_in_rotation(deployment: SwarmDeployment, services: Sequence[Service], gateway_nodes: Sequence[Node]) -> bool:
    """Return whether every worker is in rotation at the gateway of every node in `gateway_nodes`."""
    servers = {node.labels.get(SERVER) for node in gateway_nodes}
    counts = {service.name: service.replicas for service in services}
    expected = {model.name: counts.get(f"{STACK}_{service_name(model.name)}") for model in deployment.cluster.models}
    return all(
        _workers_in_rotation(url, deployment.key) == expected
        for server, url in deployment.gateways.items()
        if server in servers
    )


def _workers_in_rotation(gateway: str, key: str) -> dict[str, int]:
    """Return model name -> number of its workers in rotation at `gateway`."""
    _, status = get(f"{gateway}/status", key=key)
    return {model["name"]: model["workers_in"] for model in status.get("models", [])}

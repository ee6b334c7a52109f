"""Wait until the swarm has applied a change, and report each new task meanwhile."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.host import docker
from scripts.runtimes.swarm import consensus
from scripts.runtimes.swarm.deployment import SwarmDeployment
from scripts.runtimes.swarm.nodes import STACK, Node, Service, Task, read_nodes, read_services, read_tasks
from scripts.runtimes.swarm.unsettled import has_gateway, out_of_rotation, unsettled

CHANGE_TIMEOUT_S = 600  # many workers may each load a large network, one after the other
LOG_LINES = 6
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

    def incomplete() -> list[str]:
        services = read_services()
        tasks = read_tasks(services)
        tasks = [task for task in tasks if task.id not in before.tasks or task.desired_state == "running"]
        _report_tasks(services, tasks, before, reported)
        for service in services:
            _check_update(service, tasks, before, accepted)
        pools = [(one, one.replicas) for one in services if one.replicas is not None]
        if lines := unsettled(tasks, pools):
            return lines
        gateway_nodes = [node for node in read_nodes() if has_gateway(node)]  # last: few looks come to this
        everywhere = [(one, len(gateway_nodes)) for one in services if one.replicas is None]
        return unsettled(tasks, everywhere) or out_of_rotation(deployment, services, gateway_nodes)

    _wait_for_none(incomplete, "the change is not complete")


def wait_answering(deployment: SwarmDeployment) -> None:
    """Return once every gateway leads requests to workers.

    On a first start Nginx knows no worker at all until it has gone over to the list that the gate reports, and its
    former processes take requests for a moment longer: the second look in turn is the one that counts.
    """
    looks = 0

    def silent() -> list[str]:
        nonlocal looks
        urls = list(deployment.gateways.values())
        found = [url for url in urls if get(f"{url}/openapi.json", key=deployment.key)[0] != HTTPStatus.OK]
        looks = 0 if found else looks + 1
        return [] if looks == 2 else found or urls

    _wait_for_none(silent, "no worker answers at some gateways")


def wait_empty(node: Node) -> None:
    """Return once no task runs on the node, or if it does not answer: nobody can reach its tasks then."""

    def remaining() -> list[str]:
        if not node.ready:
            return []
        tasks = read_tasks(read_services())
        return [task.id for task in tasks if task.node == node.id and task.state not in ENDED_STATES]

    _wait_for_none(remaining, f"{node.hostname} still runs tasks")


def wait_removed(task_ids: Collection[str]) -> None:
    """Return once none of the tasks waits for a slot any more."""

    def remaining() -> list[str]:
        return [task.id for task in read_tasks(read_services()) if task.waiting and task.id in task_ids]

    _wait_for_none(remaining, "tasks that wait for a slot are not replaced")


def wait_gone() -> None:
    """Return once no node that answers has a task of the stack."""

    def remaining() -> list[str]:
        nodes = [node.id for node in read_nodes() if node.ready]
        return consensus.run(["node", "ps", "--quiet", "--filter", f"name={STACK}_", *nodes]).split()

    _wait_for_none(remaining, "tasks are still running")


def _wait_for_none(missing: Callable[[], list[str]], fault: str) -> None:
    """Return once `missing` returns nothing; raise CommandError with its last lines after CHANGE_TIMEOUT_S seconds."""
    lines: list[str] = []

    def is_complete() -> bool:
        lines[:] = missing()
        return not lines

    if not wait_until(is_complete, CHANGE_TIMEOUT_S, consensus.INTERVAL_S):
        raise CommandError(f"{fault} after {CHANGE_TIMEOUT_S} seconds; see `make status` and `make logs`:", *lines)


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

"""What keeps a change from being complete: tasks that do not run yet, and workers that are not in rotation."""

from collections.abc import Iterable, Sequence

from scripts.base.http import get
from scripts.render.swarm import service_name
from scripts.runtimes.swarm.deployment import SwarmDeployment
from scripts.runtimes.swarm.nodes import GATEWAY, SERVER, STACK, Node, Service, Task

UPDATING_STATES = ("updating", "rollback_started")


def forgotten(service: Service, tasks: Iterable[Task]) -> list[str]:
    """Return the ids of the tasks of `service` that will wait for a slot for ever.

    SwarmKit stops placing a task once its service is updated, even by an update that changes nothing, and replaces it
    only if the two differ: noSuitableNode() in its scheduler, IsTaskDirty() in its orchestrator. Tasks in excess are
    not counted: SwarmKit is about to remove them, those without a node first.
    """
    own = [task for task in tasks if task.service == service.id and task.desired_state == "running"]
    excess = max(0, len(own) - (service.replicas or 0))
    waiting = [task for task in own if task.waiting and task.spec == service.spec and task.created < service.changed]
    return [task.id for task in waiting[excess:]]


def unsettled(tasks: Sequence[Task], expected: Iterable[tuple[Service, int]]) -> list[str]:
    """Return what keeps each service from running as many tasks of its current spec as expected, and no others."""
    lines = []
    for service, count in expected:
        own = [task for task in tasks if task.service == service.id and task.desired_state == "running"]
        current = [task for task in own if task.running and task.spec == service.spec]
        if service.update in UPDATING_STATES or not len(own) == len(current) == count:
            update = f" ({service.update})" if service.update else ""
            lines.append(f"{service.name}{update}: found {len(current)} of {len(own)} tasks up to date, needed {count}")
            lines += [f"{service.name}: {task.state}: {task.message}" for task in own if not task.running]
    return lines


def has_gateway(node: Node) -> bool:
    return node.active and node.ready and node.labels.get(GATEWAY) == "true"


def out_of_rotation(
    deployment: SwarmDeployment, services: Sequence[Service], gateway_nodes: Sequence[Node]
) -> list[str]:
    """Return a line for each gateway of `gateway_nodes` that does not have every worker in rotation."""
    servers = {node.labels.get(SERVER) for node in gateway_nodes}
    counts = {service.name: service.replicas for service in services}
    expected = {model.name: counts.get(f"{STACK}_{service_name(model.name)}") for model in deployment.cluster.models}
    found = {
        server: _workers_in_rotation(url, deployment.key)
        for server, url in deployment.gateways.items()
        if server in servers
    }
    return [
        f"gateway of {server}: found {counts} workers in rotation, needed {expected}"
        for server, counts in found.items()
        if counts != expected
    ]


def _workers_in_rotation(gateway: str, key: str) -> dict[str, int]:
    """Return model name -> number of its workers in rotation at `gateway`."""
    _, status = get(f"{gateway}/status", key=key)
    return {model["name"]: model["workers_in"] for model in status.get("models", [])}

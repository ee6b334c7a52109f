"""Changes of the models' services, one after the other."""

from collections.abc import Sequence

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.render.swarm import service_name
from scripts.runtimes.swarm import consensus
from scripts.runtimes.swarm.deployment import SwarmDeployment
from scripts.runtimes.swarm.nodes import STACK, Service, read_services, read_tasks
from scripts.runtimes.swarm.unsettled import forgotten
from scripts.runtimes.swarm.waiting import ROLLED_BACK, Snapshot, take_snapshot, wait, wait_removed


def renew(deployment: SwarmDeployment) -> None:
    """Replace the workers of each model's service by equal ones."""
    for service in _complete_services():
        _update(deployment, service, ["service", "update", "--force"])


def roll_back(deployment: SwarmDeployment) -> None:
    """Restore each model's service that was another before its last update; raise CommandError if none was.

    Every update counts, one that changes nothing, too: SwarmKit then keeps the present service as the former one.
    """
    services = [service for service in _complete_services() if service.revertible]
    if not services:
        raise CommandError(
            "found that no model's service was another before its last update, needed one: Swarm keeps only that, and "
            "each `make up`, `make key`, `make key-revoke`, `make drain` and `make rollout` is an update: put "
            "cluster.toml and the kit back as they were and run `make up`"
        )
    for service in services:
        _update(deployment, service, ["service", "rollback"], repeatable=False, accepted=ROLLED_BACK)
    names = ", ".join(service.name for service in services)
    say(f"\n{names}: as before the last update; gateways, keys and {deployment.cluster.source} stay as they are")


def _update(
    deployment: SwarmDeployment, service: Service, command: list[str], *, repeatable: bool = True, accepted: str = ""
) -> None:
    """Run `docker COMMAND SERVICE`, and wait until it has settled."""
    step(f"{' '.join(command)}: {service.name}")
    before = take_snapshot()
    consensus.run([*command, "--detach", service.name], repeatable=repeatable)
    settle(deployment, before, accepted)


def settle(deployment: SwarmDeployment, before: Snapshot, accepted: str = "") -> None:
    """Replace the tasks that the change made since `before` would leave without a slot, and wait for the change."""
    services = read_services()
    tasks = read_tasks(services)
    for service in services:
        if waiting := forgotten(service, tasks):
            _replace(service, waiting)
    wait(deployment, before, accepted)


def _replace(service: Service, waiting: Sequence[str]) -> None:
    """Replace tasks that wait for a slot: where fewer are wanted, those without a node are the first to go."""
    replicas = service.replicas or 0
    _scale(service, replicas - len(waiting))
    try:
        wait_removed(waiting)
    finally:
        _scale(service, replicas)


def _complete_services() -> list[Service]:
    """Return the models' services; raise CommandError if there are none, or if one has fewer tasks than replicas."""
    services = [service for service in read_services() if service.replicas is not None]
    if not services:
        raise CommandError("nothing is running here: run `make up` first")
    tasks = read_tasks(services)
    for service in services:
        running = sum(task.running and task.service == service.id for task in tasks)
        if running < (service.replicas or 0):
            raise CommandError(
                f"{service.name}: found {running} of {service.replicas} workers running, needed all before others are "
                "replaced; see `make status`"
            )
    return services


def rescale(deployment: SwarmDeployment) -> None:
    """Give each model's service as many tasks as the plan says."""
    counts = {f"{STACK}_{service_name(model)}": count for model, count in deployment.replicas.items()}
    for service in read_services():
        if service.replicas is not None and (count := counts[service.name]) != service.replicas:
            _scale(service, count)


def _scale(service: Service, replicas: int) -> None:
    consensus.run(["service", "scale", "--detach", f"{service.name}={replicas}"])

"""Changes of the models' services, one after the other."""

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.render.swarm import service_name
from scripts.runtimes.swarm import consensus
from scripts.runtimes.swarm.deployment import SwarmDeployment
from scripts.runtimes.swarm.nodes import STACK, Service, read_services, read_tasks
from scripts.runtimes.swarm.waiting import take_snapshot, wait


def update_services(
    deployment: SwarmDeployment, command: list[str], *, repeatable: bool = True, accepted: str = ""
) -> None:
    """Run `docker COMMAND SERVICE` for each model's service, waiting after each until it has settled."""
    for service in _complete_services():
        step(f"{' '.join(command)}: {service.name}")
        before = take_snapshot()
        consensus.run([*command, "--detach", service.name], repeatable=repeatable)
        wait(deployment, before, accepted)


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
            consensus.run(["service", "update", "--detach", "--replicas", str(count), service.name])

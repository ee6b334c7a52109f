"""The deployment of a cluster of one server, which every runtime on one machine starts from."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.cluster.cores import best_cores, explain_cores
from scripts.cluster.hardware import Hardware, read_hardware
from scripts.cluster.keys import own_key
from scripts.cluster.models import ModelInfo, model_infos, read_specs
from scripts.cluster.plan import Plan, Slot, plan
from scripts.runtimes.change import Member
from scripts.runtimes.run_directory import RunDir
from worker.contract.cpu_list import format_cpu_list
from worker.contract.engines import ENGINES
from worker.contract.machine import machine_kind

LAST_PORT = 65535


@dataclass(frozen=True)
class Deployment:
    """A cluster's plan bound to a run directory."""

    cluster: Cluster
    hardware: Hardware
    models: Mapping[str, ModelInfo]
    plan: Plan
    run: RunDir
    ports: Mapping[str, int] = field(default_factory=dict)  # by worker, on the machine's own network

    @property
    def cores(self) -> int | None:
        """Return the best number of cores for a CPU worker; None if it was not measured."""
        return _measured_cores(self.cluster, self.models)

    @property
    def endpoint(self) -> str:
        return self.cluster.endpoint

    @property
    def key(self) -> str:
        """Return the key by which commands ask the gateway; "" if there is none."""
        return own_key(self.cluster)

    def describe(self) -> str:
        """Return a line that says which worker has which cores or GPU, and why."""
        server = self.cluster.servers[0]
        is_automatic = server.workers is None and server.cores_per_worker is None
        needs_reason = is_automatic and not all(worker.slot.gpu for worker in self.plan.workers)
        return self.plan_text() + (f"; {explain_cores(self.cluster.profile, self.cores)}" if needs_reason else "")

    def plan_text(self) -> str:
        """Return a line that says which worker has which cores or GPU."""
        return ", ".join(f"{worker.name} on {_describe_slot(worker.slot)}" for worker in self.plan.workers)


def plan_here(cluster: Cluster, run: RunDir) -> Deployment:
    """Return `cluster` planned for this machine, without ports; raise CommandError if this machine cannot serve it."""
    if len(cluster.servers) > 1:
        raise CommandError(
            f"{cluster.source}: found {len(cluster.servers)} servers, needed one for this runtime: "
            "keep one [[servers]] table"
        )
    hardware, specs = read_hardware(), read_specs(cluster)
    models = model_infos(specs, cluster.engine, [*dict.fromkeys(gpu.name for gpu in hardware.gpus), machine_kind()])
    if not any(ENGINES[model.engine].gpu for model in models.values()):
        # Plan on the cores if no engine here can use the GPU.
        hardware, models = replace(hardware, gpus=()), model_infos(specs, cluster.engine, [machine_kind()])
    name = cluster.servers[0].name
    planned = plan(cluster, {name: hardware}, cores={name: _measured_cores(cluster, models)})
    return Deployment(cluster, hardware, models, planned, run)


def name_workers(
    deployment: Deployment, running: Mapping[str, Member], changed: Collection[str] = (), taken: Collection[str] = ()
) -> Deployment:
    """Return `deployment` with its workers named as those `running` with the same model on the same slot.

    The others, and those whose like is among the `changed`, get numbers that are free and not `taken`.
    """
    names = {(old.model, old.slot): name for name, old in running.items() if name not in changed}
    used, workers = {*running, *taken}, []
    for worker in deployment.plan.workers:
        numbered = (f"{worker.model}-{number}" for number in count())
        name = names.get((worker.model, worker.slot.name)) or next(name for name in numbered if name not in used)
        used.add(name)
        workers.append(replace(worker, name=name))
    return replace(deployment, plan=replace(deployment.plan, workers=tuple(workers)))


def with_default_ports(deployment: Deployment) -> Deployment:
    """Return `deployment` with the ports after the gateway's; raise CommandError if they exceed LAST_PORT."""
    cluster, workers = deployment.cluster, deployment.plan.workers
    first, count = cluster.port + 1, len(workers)
    if cluster.port + count > LAST_PORT:
        raise CommandError(
            f"{cluster.source}: port: found {first} for the first of {count} worker{'' if count == 1 else 's'}, "
            f"needed at most {LAST_PORT + 1 - count}: choose a lower port"
        )
    return replace(deployment, ports={worker.name: port for port, worker in enumerate(workers, first)})


def reuse_ports(deployment: Deployment, known: Mapping[str, int], is_free: Callable[[int], bool]) -> Deployment:
    """Return `deployment` with the ports in `known` (worker name -> port); its other workers get the next free ports.

    Raise CommandError if no port is left.
    """
    if not known:
        return with_default_ports(deployment)
    first = deployment.cluster.port + 1
    free_ports = (port for port in range(first, LAST_PORT + 1) if port not in known.values() and is_free(port))
    ports = {}
    for worker in deployment.plan.workers:
        port = known[worker.name] if worker.name in known else next(free_ports, None)
        if port is None:
            raise CommandError(f"port: found no free port above {first - 1} for {worker.name}: choose a lower port")
        ports[worker.name] = port
    return replace(deployment, ports=ports)


def _measured_cores(cluster: Cluster, models: Mapping[str, ModelInfo]) -> int | None:
    return best_cores(cluster.profile, [(model.share, models[model.name].scaling) for model in cluster.models])


def _describe_slot(slot: Slot) -> str:
    return slot.gpu or (f"CPU {format_cpu_list(slot.cpus)}" if slot.cpus else slot.name)

"""Plan which worker serves which model on which GPU and cores: pure functions of the cluster and the hardware.

A core is never split: its SMT siblings belong to one slot, and all cores of a slot are in one NUMA node. If
`cores_per_worker` does not divide the cores of a node, no slot gets the rest; they stay free for Nginx and the gate.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.cluster.cpu_sets import Core, by_node, counted, divide, physical_cores, select_cpu_sets
from scripts.cluster.hardware import Gpu, Hardware
from scripts.cluster.quota import within
from scripts.cluster.schema import Model, Server


@dataclass(frozen=True)
class Slot:
    name: str  # SERVER-cpuN or SERVER-gpuN; a Swarm generic resource, so no bare number, no "=", no ","
    server: str
    cpus: tuple[int, ...]
    gpu: str | None  # UUID


@dataclass(frozen=True)
class Worker:
    name: str
    model: str
    slot: Slot


@dataclass(frozen=True)
class Plan:
    workers: tuple[Worker, ...]  # in the order of their slots: by server, GPUs before CPUs, by NUMA node


def plan(cluster: Cluster, hardware: Mapping[str, Hardware], cores: Mapping[str, int | None] | None = None) -> Plan:
    """Return slots for every server and a worker for every slot.

    `hardware` is by server name; so is `cores`, the number of cores for each worker that was measured best there.
    Raise CommandError with every fault of every server: what cluster.toml requests and the hardware lacks.
    """
    slots: list[Slot] = []
    faults: list[str] = []
    for index, server in enumerate(cluster.servers):
        try:
            slots += server_slots(server, hardware, len(cluster.models), (cores or {}).get(server.name))
        except CommandError as error:
            faults += [f"servers/{index}/{line}" for line in error.lines]
    if faults := faults or too_few_slots(len(cluster.models), slots):
        raise CommandError(*(f"{cluster.source}: {fault}" for fault in faults))

    worker_counts = Counter[str]()
    workers = []
    for slot, model in zip(slots, spread_models(cluster.models, len(slots)), strict=True):
        name = f"{model}-{worker_counts[model]}"
        workers.append(Worker(name, model, slot))
        worker_counts[model] += 1
    return Plan(tuple(workers))


def too_few_slots(models: int, slots: Sequence[Slot]) -> list[str]:
    """Return a fault if there are more models than slots."""
    if models <= len(slots):
        return []
    return [
        f"models: found {models} models for {counted(len(slots), 'slot')}, needed a slot for each:"
        " remove models, add servers, or configure more workers with fewer cores"
    ]


def spread_models(models: Sequence[Model], slots: int) -> list[str]:
    """Return the model name of each slot: slots in proportion to shares, at least one per model, spread evenly.

    Adjacent slots belong to the same server and NUMA node, so an even spread puts each model on as many of them as
    possible.
    """
    total = sum(model.share for model in models)
    counts = [1] * len(models)
    for _ in range(slots - len(models)):
        deficits = [slots * model.share / total - count for model, count in zip(models, counts, strict=True)]
        counts[deficits.index(max(deficits))] += 1
    positions = [((number + 0.5) / count, index) for index, count in enumerate(counts) for number in range(count)]
    return [models[index].name for _, index in sorted(positions)]


def server_slots(
    server: Server, hardware: Mapping[str, Hardware], models: int, measured: int | None = None
) -> list[Slot]:
    """Return the slots of one server, for a number of `models`; `measured` are the cores that suit each worker best.

    Raise CommandError, each line beginning with the key in the server's table.
    """
    if server.name not in hardware:
        raise CommandError(
            f'name: found "{server.name}", whose hardware was not read,'
            f" needed one of {', '.join(hardware) or 'none'}: read its hardware or remove the server"
        )
    machine = hardware[server.name]
    if server.cpus is None:
        machine = replace(machine, cpus=within(machine.cpus, machine.cpu_quota))
    gpus = select_gpus(server, machine)
    sets = select_cpu_sets(server, machine, len(gpus), models, measured)
    if not gpus and not sets:
        raise CommandError('cpus: found "none" where no GPU was found, needed a slot: set cpus = "auto"')
    taken = {cpu for cores in sets for core in cores for cpu in core}
    free = [core for core in physical_cores(machine.cpus) if taken.isdisjoint(core)]
    return [
        Slot(f"{server.name}-gpu{gpus.index(gpu)}", server.name, _cpu_numbers(cores), gpu.uuid)
        for gpu, cores in assign_cores(gpus, free)
    ] + [Slot(f"{server.name}-cpu{index}", server.name, _cpu_numbers(cores), None) for index, cores in enumerate(sets)]


def select_gpus(server: Server, machine: Hardware) -> list[Gpu]:
    if server.gpus is None:
        return list(machine.gpus)
    known = {gpu.uuid: gpu for gpu in machine.gpus}
    if unknown := [uuid for uuid in server.gpus if uuid not in known]:
        requested, available = ", ".join(unknown), ", ".join(known)
        needed = f"some of {available}" if known else '"auto" or "none": it has no GPU'
        raise CommandError(f'gpus: found {requested}, unknown to server "{server.name}", needed {needed}')
    return [known[uuid] for uuid in server.gpus]


def assign_cores(gpus: Sequence[Gpu], cores: Sequence[Core]) -> list[tuple[Gpu, Sequence[Core]]]:
    """Return each GPU with an equal part of the `cores` of its NUMA node, in the order of nodes.

    A GPU whose node is unknown, or already has a GPU for each core, gets cores of a node with CPUs close to it, or else
    of any node; of several, of the one with the most cores for each GPU. Raise CommandError if cores are too few.
    """
    if len(gpus) > len(cores):
        raise CommandError(
            f"gpus: found {counted(len(gpus), 'GPU')} for {counted(len(cores), 'free core')},"
            " needed a core for each: list fewer GPUs, request fewer CPU workers, or allow more CPUs"
        )
    nodes = by_node(cores)
    assigned: dict[int, list[Gpu]] = {node: [] for node in nodes}
    for gpu in gpus:
        candidates = [node for node in nodes if len(assigned[node]) < len(nodes[node])]
        local = {core[0].numa_node for core in cores for cpu in core if cpu.number in gpu.cpus}
        same_node = [node for node in candidates if node == gpu.numa_node]
        nearest = same_node or [node for node in candidates if node in local] or candidates
        assigned[max(nearest, key=lambda node: len(nodes[node]) / (len(assigned[node]) + 1))].append(gpu)
    return [
        pair
        for node in nodes
        if assigned[node]
        for pair in zip(assigned[node], divide(nodes[node], len(assigned[node])), strict=True)
    ]


def _cpu_numbers(cores: Iterable[Core]) -> tuple[int, ...]:
    return tuple(sorted(cpu.number for core in cores for cpu in core))

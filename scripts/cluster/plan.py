"""Plan which worker serves which model on which GPU and cores: pure functions of the cluster and the hardware.

A core is never split: its SMT siblings belong to one slot, and all cores of a slot are in one NUMA node. If
`cores_per_worker` does not divide the cores of a node, no slot gets the rest; they stay free for Nginx and the gate.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster, Model, Server
from scripts.cluster.hardware import Cpu, Gpu, Hardware
from scripts.cluster.quota import within
from worker.contract.cpu_list import format_cpu_list

FEW_CORES = 4


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


Core = tuple[Cpu, ...]  # the usable SMT siblings of one physical core


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
        f"models: found {models} models for {_count(len(slots), 'slot')}, needed a slot for each:"
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
            f"gpus: found {_count(len(gpus), 'GPU')} for {_count(len(cores), 'free core')},"
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


def select_cpu_sets(
    server: Server, machine: Hardware, gpus: int, models: int, measured: int | None
) -> list[Sequence[Core]]:
    """Return the cores of each CPU worker: none on a server with GPUs, unless cluster.toml requests them."""
    if server.cpus == ():
        return []
    if server.cpus is None and server.workers is None and gpus:
        if server.cores_per_worker is None:
            return []
        raise CommandError(
            f"cores_per_worker: found {server.cores_per_worker} on a server that uses only its GPUs,"
            ' needed "auto": or request CPU workers with workers or cpus, or set gpus = "none"'
        )
    usable = machine.cpus if server.cpus is None else listed_cpus(server, machine)
    sharing = gpus if server.cpus is None else 0
    return cpu_sets(list(by_node(physical_cores(usable)).values()), server, sharing, models, measured)


def listed_cpus(server: Server, machine: Hardware) -> list[Cpu]:
    listed = set(server.cpus or ())
    usable = {cpu.number for cpu in machine.cpus}
    forbidden = listed & set(machine.forbidden_cpus)
    faults = [
        f"cpus: found {format_cpu_list(numbers)}, {why}, needed some of {format_cpu_list(usable)}"
        for numbers, why in (
            (listed - usable - forbidden, f'not on server "{server.name}"'),
            (forbidden, "which this process's affinity mask or cgroup cpuset forbids"),
        )
        if numbers
    ]
    if faults:
        raise CommandError(*faults)
    if machine.cpu_quota is not None and len(listed) > max(1, machine.cpu_quota):
        raise CommandError(
            f"cpus: found {len(listed)} CPUs, needed at most {max(1, int(machine.cpu_quota))}, for which the cgroup's "
            "quota has time: list fewer, or raise the quota"
        )
    return [cpu for cpu in machine.cpus if cpu.number in listed]


def cpu_sets(
    nodes: Sequence[Sequence[Core]], server: Server, sharing: int, models: int, measured: int | None
) -> list[Sequence[Core]]:
    """Return the cores of each CPU worker; `nodes` are the cores of each NUMA node.

    With neither `workers` nor `cores_per_worker`, see `auto_cpu_sets`. With `workers` alone, each gets as many cores as
    possible, with each of the `sharing` GPUs counted as a worker. Raise CommandError if the nodes have too few cores.
    """
    workers, size = server.workers, server.cores_per_worker
    if workers is None and size is None:
        return auto_cpu_sets(nodes, models, measured)
    total = sum(map(len, nodes))
    if size is None:
        needed = (workers or 0) + sharing
        sizes = (size for size in range(1, total + 1) if sum(len(node) // size for node in nodes) >= needed)
        size = max(sizes, default=1)
    capacity = [len(node) // size for node in nodes]
    if not sum(capacity):
        largest = max(map(len, nodes))
        raise CommandError(f"cores_per_worker: found {size}, needed at most {largest}, the cores of one NUMA node")
    if workers is not None and workers > sum(capacity):
        raise CommandError(
            f"workers: found {_count(workers, 'worker')} of {_count(size, 'core')} each,"
            f" needed at most {sum(capacity)} on {_count(total, 'core')} in {_count(len(nodes), 'NUMA node')}:"
            " lower workers or cores_per_worker"
        )
    taken = [0] * len(nodes)
    for _ in range(sum(capacity) if workers is None else workers):
        free = [limit - used for limit, used in zip(capacity, taken, strict=True)]
        taken[free.index(max(free))] += 1
    return [
        node[number * size : (number + 1) * size]
        for node, count in zip(nodes, taken, strict=True)
        for number in range(count)
    ]


def auto_cpu_sets(nodes: Sequence[Sequence[Core]], models: int, measured: int | None) -> list[Sequence[Core]]:
    """Return the cores of each CPU worker if cluster.toml leaves both their number and size open; use all cores.

    Divide each node evenly among the fewest workers that have at most `measured` cores each and are enough for all
    models. Without a measurement, the limit is one core on a machine of up to FEW_CORES cores, where a second worker
    adds more than a second thread; on a larger machine it is FEW_CORES, since each worker holds a copy of its model.
    """
    max_cores = measured or (1 if sum(map(len, nodes)) <= FEW_CORES else FEW_CORES)
    while max_cores > 1 and sum(min_parts(node, max_cores) for node in nodes) < models:
        max_cores -= 1
    return [cores for node in nodes for cores in divide(node, min_parts(node, max_cores))]


def physical_cores(cpus: Iterable[Cpu]) -> list[Core]:
    def core_of(cpu: Cpu) -> tuple[int, int, int]:
        return cpu.numa_node, cpu.socket, cpu.core

    return [tuple(core) for _, core in groupby(sorted(cpus, key=core_of), core_of)]


def by_node(cores: Iterable[Core]) -> dict[int, list[Core]]:
    nodes: dict[int, list[Core]] = {}
    for core in cores:
        nodes.setdefault(core[0].numa_node, []).append(core)
    return nodes


def min_parts(cores: Sequence[Core], max_cores: int) -> int:
    """Return the smallest number of parts of at most `max_cores` cores each."""
    return -(-len(cores) // max_cores)


def divide(cores: Sequence[Core], parts: int) -> list[Sequence[Core]]:
    """Return `cores` as `parts` consecutive slices whose lengths differ by at most one."""
    edges = [len(cores) * part // parts for part in range(parts + 1)]
    return [cores[start:end] for start, end in pairwise(edges)]


def _cpu_numbers(cores: Iterable[Core]) -> tuple[int, ...]:
    return tuple(sorted(cpu.number for core in cores for cpu in core))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

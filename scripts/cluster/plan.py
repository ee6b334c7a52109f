"""Plan which worker serves which model on which GPU and cores: pure functions of the cluster and the hardware.

A core is never split: its SMT siblings belong to one slot, and all cores of a slot are in one NUMA node. If
`cores_per_worker` does not divide the cores of a node, no slot gets the rest; they stay free for Nginx and the gate.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster, Model, Server
from scripts.cluster.hardware import Cpu, Gpu, Hardware
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
        except CommandError as refusal:
            faults += [f"servers/{index}/{line}" for line in refusal.lines]
    if faults := faults or too_few_slots(len(cluster.models), slots):
        raise CommandError(*(f"{cluster.source}: {fault}" for fault in faults))

    of_model = Counter[str]()
    workers = []
    for slot, model in zip(slots, spread_models(cluster.models, len(slots)), strict=True):
        name = f"{model}-{of_model[model]}"
        workers.append(Worker(name, model, slot))
        of_model[model] += 1
    return Plan(tuple(workers))


def too_few_slots(models: int, slots: Sequence[Slot]) -> list[str]:
    """Return a fault if there are more models than slots."""
    if models <= len(slots):
        return []
    return [
        f"models: found {models} models for {_count(len(slots), 'slot')}, needed a slot for each:"
        " remove models, add servers, or ask for more workers of fewer cores"
    ]


def spread_models(models: Sequence[Model], slots: int) -> list[str]:
    """Return the model name of each slot: slots in proportion to shares, at least one per model, spread evenly.

    Adjacent slots belong to the same server and NUMA node, so an even spread puts each model on as many of them as
    possible.
    """
    total = sum(model.share for model in models)
    counts = [1] * len(models)
    for _ in range(slots - len(models)):
        behind = [slots * model.share / total - count for model, count in zip(models, counts, strict=True)]
        counts[behind.index(max(behind))] += 1
    places = [((turn + 0.5) / count, index) for index, count in enumerate(counts) for turn in range(count)]
    return [models[index].name for _, index in sorted(places)]


def server_slots(
    server: Server, hardware: Mapping[str, Hardware], models: int, measured: int | None = None
) -> list[Slot]:
    """Return the slots of one server, for a number of `models`; `measured` are the cores that suit each worker best.

    Raise CommandError, each line beginning with the key in the server's table.
    """
    if server.name not in hardware:
        raise CommandError(
            f'name: found "{server.name}", whose hardware was not read,'
            f" needed one of {', '.join(hardware) or 'none'}: read its hardware or take the server out"
        )
    machine = hardware[server.name]
    gpus = chosen_gpus(server, machine)
    sets = chosen_cpu_sets(server, machine, len(gpus), models, measured)
    if not gpus and not sets:
        raise CommandError('cpus: found "none" where no GPU was found, needed a slot: set cpus = "auto"')
    taken = {cpu for cores in sets for core in cores for cpu in core}
    free = [core for core in physical_cores(machine.cpus) if taken.isdisjoint(core)]
    return [
        Slot(f"{server.name}-gpu{gpus.index(gpu)}", server.name, _numbers(cores), gpu.uuid)
        for gpu, cores in near_cores(gpus, free)
    ] + [Slot(f"{server.name}-cpu{index}", server.name, _numbers(cores), None) for index, cores in enumerate(sets)]


def chosen_gpus(server: Server, machine: Hardware) -> list[Gpu]:
    if server.gpus is None:
        return list(machine.gpus)
    known = {gpu.uuid: gpu for gpu in machine.gpus}
    if unknown := [uuid for uuid in server.gpus if uuid not in known]:
        listed, choice = ", ".join(unknown), ", ".join(known)
        needed = f"some of {choice}" if known else '"auto" or "none": no GPU is there'
        raise CommandError(f'gpus: found {listed}, unknown to server "{server.name}", needed {needed}')
    return [known[uuid] for uuid in server.gpus]


def near_cores(gpus: Sequence[Gpu], cores: Sequence[Core]) -> list[tuple[Gpu, Sequence[Core]]]:
    """Return each GPU with an equal part of the `cores` of its NUMA node, in the order of nodes.

    A GPU whose node is unknown, or already has a GPU for each core, gets cores of a node with CPUs close to it, or else
    of any node; of several, of the one with the most cores for each GPU. Raise CommandError if cores are too few.
    """
    if len(gpus) > len(cores):
        raise CommandError(
            f"gpus: found {_count(len(gpus), 'GPU')} for {_count(len(cores), 'free core')},"
            " needed a core for each: list fewer GPUs, ask for fewer CPU workers, or allow more CPUs"
        )
    nodes = by_node(cores)
    guests: dict[int, list[Gpu]] = {node: [] for node in nodes}
    for gpu in gpus:
        room = [node for node in nodes if len(guests[node]) < len(nodes[node])]
        local = {core[0].numa_node for core in cores for cpu in core if cpu.number in gpu.cpus}
        own = [node for node in room if node == gpu.numa_node]
        near = own or [node for node in room if node in local] or room
        guests[max(near, key=lambda node: len(nodes[node]) / (len(guests[node]) + 1))].append(gpu)
    return [
        pair
        for node in nodes
        if guests[node]
        for pair in zip(guests[node], divide(nodes[node], len(guests[node])), strict=True)
    ]


def chosen_cpu_sets(
    server: Server, machine: Hardware, gpus: int, models: int, measured: int | None
) -> list[Sequence[Core]]:
    """Return the cores of each CPU worker: none on a server with GPUs, unless cluster.toml requests them."""
    if server.cpus == ():
        return []
    if server.cpus is None and server.workers is None and gpus:
        if server.cores_per_worker is None:
            return []
        raise CommandError(
            f"cores_per_worker: found {server.cores_per_worker} on a server that works with its GPUs only,"
            ' needed "auto": or ask for CPU workers with workers or cpus, or set gpus = "none"'
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
    return [cpu for cpu in machine.cpus if cpu.number in listed]


def cpu_sets(
    nodes: Sequence[Sequence[Core]], server: Server, sharing: int, models: int, measured: int | None
) -> list[Sequence[Core]]:
    """Return the cores of each CPU worker; `nodes` are the cores of each NUMA node.

    With neither `workers` nor `cores_per_worker`, see `auto_sets`. With `workers` alone, each gets as many cores as
    possible, with each of the `sharing` GPUs counted as a worker. Raise CommandError if the nodes have too few cores.
    """
    workers, size = server.workers, server.cores_per_worker
    if workers is None and size is None:
        return auto_sets(nodes, models, measured)
    total = sum(map(len, nodes))
    if size is None:
        wanted = (workers or 0) + sharing
        fitting = (each for each in range(1, total + 1) if sum(len(node) // each for node in nodes) >= wanted)
        size = max(fitting, default=1)
    room = [len(node) // size for node in nodes]
    if not sum(room):
        largest = max(map(len, nodes))
        raise CommandError(f"cores_per_worker: found {size}, needed at most {largest}, the cores of one NUMA node")
    if workers is not None and workers > sum(room):
        raise CommandError(
            f"workers: found {_count(workers, 'worker')} of {_count(size, 'core')} each,"
            f" needed at most {sum(room)} on {_count(total, 'core')} in {_count(len(nodes), 'NUMA node')}:"
            " lower workers or cores_per_worker"
        )
    taken = [0] * len(nodes)
    for _ in range(sum(room) if workers is None else workers):
        left = [has - used for has, used in zip(room, taken, strict=True)]
        taken[left.index(max(left))] += 1
    return [
        node[turn * size : (turn + 1) * size] for node, count in zip(nodes, taken, strict=True) for turn in range(count)
    ]


def auto_sets(nodes: Sequence[Sequence[Core]], models: int, measured: int | None) -> list[Sequence[Core]]:
    """Return the cores of each CPU worker if cluster.toml leaves both their number and size open; use all cores.

    Divide each node evenly among the fewest workers that have at most `measured` cores each and are enough for all
    models. Without a measurement the most is one core on a machine of up to FEW_CORES cores, where a second worker adds
    more than a second thread; on a larger machine it is FEW_CORES, since each worker holds a copy of its model.
    """
    most = measured or (1 if sum(map(len, nodes)) <= FEW_CORES else FEW_CORES)
    while most > 1 and sum(parts_of(node, most) for node in nodes) < models:
        most -= 1
    return [cores for node in nodes for cores in divide(node, parts_of(node, most))]


def physical_cores(cpus: Iterable[Cpu]) -> list[Core]:
    def core_of(cpu: Cpu) -> tuple[int, int, int]:
        return cpu.numa_node, cpu.socket, cpu.core

    return [tuple(core) for _, core in groupby(sorted(cpus, key=core_of), core_of)]


def by_node(cores: Iterable[Core]) -> dict[int, list[Core]]:
    nodes: dict[int, list[Core]] = {}
    for core in cores:
        nodes.setdefault(core[0].numa_node, []).append(core)
    return nodes


def parts_of(cores: Sequence[Core], most: int) -> int:
    """Return the smallest number of parts of at most `most` cores each."""
    return -(-len(cores) // most)


def divide(cores: Sequence[Core], parts: int) -> list[Sequence[Core]]:
    """Return `cores` as `parts` consecutive slices whose lengths differ by at most one."""
    edges = [len(cores) * part // parts for part in range(parts + 1)]
    return [cores[start:end] for start, end in pairwise(edges)]


def _numbers(cores: Iterable[Core]) -> tuple[int, ...]:
    return tuple(sorted(cpu.number for core in cores for cpu in core))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

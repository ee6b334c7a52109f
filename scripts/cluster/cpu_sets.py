"""Divide the cores of a server into sets, one for each CPU worker: pure functions.

A core is never split, and all cores of a set are in one NUMA node.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

from scripts.base.errors import CommandError
from scripts.cluster.hardware import Cpu, Hardware
from scripts.cluster.schema import Server
from worker.contract.cpu_list import format_cpu_list

FEW_CORES = 4

Core = tuple[Cpu, ...]  # the usable SMT siblings of one physical core


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
            f"workers: found {counted(workers, 'worker')} of {counted(size, 'core')} each,"
            f" needed at most {sum(capacity)} on {counted(total, 'core')} in {counted(len(nodes), 'NUMA node')}:"
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


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

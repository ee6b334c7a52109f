"""The CPUs that are planned under a cgroup's CPU quota, its limit of processor time.

A quota hides no CPU. Workers planned on all of them would start too many threads, and stand still together for the rest
of each period once its time is spent.
"""

from collections.abc import Sequence
from itertools import groupby

from scripts.cluster.hardware import Cpu


def within(cpus: Sequence[Cpu], quota: float | None) -> tuple[Cpu, ...]:
    """Return as many of `cpus` as `quota` has time for: first of one node, and there first one of each core."""
    if quota is None or quota >= len(cpus):
        return tuple(cpus)
    ranked = []
    for _, siblings in groupby(sorted(cpus, key=_core), _core):
        ranked += [(cpu.numa_node, rank, cpu.number, cpu) for rank, cpu in enumerate(siblings)]
    chosen = [cpu for *_, cpu in sorted(ranked, key=lambda row: row[:3])[: max(1, int(quota))]]
    return tuple(sorted(chosen, key=lambda cpu: cpu.number))


def _core(cpu: Cpu) -> tuple[int, int, int]:
    return cpu.numa_node, cpu.socket, cpu.core

"""Measure the whole machine with all cores busy: as many workers as fit, each with the same number of cores."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

import numpy as np

from scripts.cluster.cpu_sets import Core, by_node, physical_cores
from scripts.cluster.hardware import Cpu
from scripts.models.tools.prepare.benchmark import Candidate, ModelUnderTest, open_candidate
from scripts.models.tools.prepare.isolated import SPAWN, IsolatedProcess, Placement
from worker.contract.engine import Scaling

MAX_CORES = 8  # of one worker: more never raised the throughput, and rarely lowered the latency
LOAD_TIMEOUT_S = 120.0


def sizes(cpus: Sequence[Cpu]) -> list[int]:
    """Return the numbers of cores per worker to measure: 1, 2, 4, 8, up to the size of the largest NUMA node."""
    largest = max(map(len, by_node(physical_cores(cpus)).values()))
    return [size for size in (1, 2, 4, MAX_CORES) if size <= largest]


def placements(cpus: Sequence[Cpu], size: int) -> list[Placement]:
    """Return as many sets of `size` cores as fit, each inside one NUMA node; SMT siblings stay together."""
    nodes = by_node(physical_cores(cpus)).values()
    groups = [node[start : start + size] for node in nodes for start in range(0, len(node) - size + 1, size)]
    return [Placement(cpu_numbers(group)) for group in groups]


def cpu_numbers(cores: Sequence[Core]) -> tuple[int, ...]:
    return tuple(sorted(cpu.number for core in cores for cpu in core))


def measure(model: ModelUnderTest, candidate: Candidate, placements: Sequence[Placement], cores: int) -> Scaling:
    """Measure one worker at each of `placements`, all busy with single images. Raise ProcessFailed if one fails."""
    barrier = SPAWN.Barrier(len(placements))
    with ExitStack() as stack:
        workers = [
            stack.enter_context(IsolatedProcess(placement, keep_busy, model, candidate, len(placement.cpus), barrier))
            for placement in placements
        ]
        durations = [worker.result(LOAD_TIMEOUT_S + model.effort.busy_s) for worker in workers]
    images_per_s = sum(len(seconds) / sum(seconds) for seconds in durations)
    latency = median(second for seconds in durations for second in seconds)
    return Scaling(candidate.machine, cores, images_per_s, latency * 1000)


def keep_busy(model: ModelUnderTest, candidate: Candidate, threads: int, barrier: Any) -> list[float]:
    """Return the seconds of each inference of a single image, starting when every worker has loaded."""
    _, engine = open_candidate(model, candidate, (1,), threads)
    image = np.load(model.images, mmap_mode="r")[:1].copy()
    barrier.wait(LOAD_TIMEOUT_S)
    times = [time.perf_counter()]
    while times[-1] - times[0] < model.effort.busy_s:
        engine.infer(image)
        times.append(time.perf_counter())
    return np.diff(times).tolist()

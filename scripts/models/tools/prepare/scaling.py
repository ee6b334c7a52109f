"""Measure the whole machine with all cores busy: as many workers as fit, each with the same number of cores."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

import numpy as np

from scripts.cluster.hardware import Cpu
from scripts.cluster.plan import Core, by_node, physical_cores
from scripts.models.tools.prepare.benchmark import Candidate, Subject, opened
from scripts.models.tools.prepare.isolated import SPAWN, IsolatedProcess, Place
from worker.contract.engine import Scaling

MOST_CORES = 8  # of one worker: more never raised the throughput, and rarely lowered the latency
LOAD_S = 120.0


def sizes(cpus: Sequence[Cpu]) -> list[int]:
    """Return the numbers of cores per worker to measure: 1, 2, 4, 8, up to the size of the largest NUMA node."""
    largest = max(map(len, by_node(physical_cores(cpus)).values()))
    return [size for size in (1, 2, 4, MOST_CORES) if size <= largest]


def places(cpus: Sequence[Cpu], size: int) -> list[Place]:
    """Return as many sets of `size` cores as fit, each inside one NUMA node; SMT siblings stay together."""
    nodes = by_node(physical_cores(cpus)).values()
    runs = [node[start : start + size] for node in nodes for start in range(0, len(node) - size + 1, size)]
    return [Place(numbers(run)) for run in runs]


def numbers(cores: Sequence[Core]) -> tuple[int, ...]:
    return tuple(sorted(cpu.number for core in cores for cpu in core))


def measure(subject: Subject, candidate: Candidate, at: Sequence[Place], cores: int) -> Scaling:
    """Measure one worker at each place in `at`, all busy at once with single images. Raise Failed if one fails."""
    together = SPAWN.Barrier(len(at))
    with ExitStack() as stack:
        workers = [
            stack.enter_context(IsolatedProcess(place, keep_busy, subject, candidate, len(place.cpus), together))
            for place in at
        ]
        times = [worker.result(LOAD_S + subject.effort.work_s) for worker in workers]
    images_per_s = sum(len(seconds) / sum(seconds) for seconds in times)
    latency = median(second for seconds in times for second in seconds)
    return Scaling(candidate.machine, cores, images_per_s, latency * 1000)


def keep_busy(subject: Subject, candidate: Candidate, threads: int, together: Any) -> list[float]:
    """Return the seconds of each inference of a single image, starting when every worker has loaded."""
    _, engine = opened(subject, candidate, (1,), threads)
    image = np.load(subject.images, mmap_mode="r")[:1].copy()
    together.wait(LOAD_S)
    edges = [time.perf_counter()]
    while edges[-1] - edges[0] < subject.effort.work_s:
        engine.infer(image)
        edges.append(time.perf_counter())
    return np.diff(edges).tolist()

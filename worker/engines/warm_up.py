"""Warm up an engine before the first request, and measure its batch sizes."""

import time
from statistics import median

import numpy as np

from worker.engines import Engine

TIMED_RUNS = 5


def warm_up(engine: Engine, shape: tuple[int, int, int], timed: bool) -> dict[int, float]:
    """Run every batch size on images of `shape` [H, W, C]; return the cost of each, for comparison.

    The cost is in seconds if `timed`, on a GPU, which runs a batch in little more time than one image. On a CPU it is
    the number of images: time grows with it, and workers that start at the same time would distort a measurement.
    """
    for size in engine.batch_sizes:
        _run(engine, size, shape)
    if not timed:
        return {size: float(size) for size in engine.batch_sizes}
    return {size: median(_run(engine, size, shape) for _ in range(TIMED_RUNS)) for size in engine.batch_sizes}


def _run(engine: Engine, size: int, shape: tuple[int, int, int]) -> float:
    started = time.perf_counter()
    engine.infer(np.zeros((size, *shape), np.uint8))
    return time.perf_counter() - started

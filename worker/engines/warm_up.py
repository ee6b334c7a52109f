"""Warm up an engine before the first request, and measure its batch sizes."""

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np

from worker.engines.batch import Inputs

TIMED_RUNS = 5


Infer = Callable[[Inputs], np.ndarray]


def warm_up(infer: Infer, sizes: Sequence[int], shape: tuple[int, int, int], timed: bool) -> dict[int, float]:
    """Run every batch size on images of `shape` [H, W, C]; return the cost of each, for comparison.

    The cost is in seconds if `timed`, on a GPU, which runs a batch in little more time than one image. On a CPU it is
    the number of images: time grows with it, and workers that start at the same time would distort a measurement.
    """
    for size in sizes:
        _run(infer, size, shape)
    if not timed:
        return {size: float(size) for size in sizes}
    return {size: median(_run(infer, size, shape) for _ in range(TIMED_RUNS)) for size in sizes}


def _run(infer: Infer, size: int, shape: tuple[int, int, int]) -> float:
    started = time.perf_counter()
    infer(np.zeros((size, *shape), np.uint8))
    return time.perf_counter() - started

"""Benchmark one engine in one precision on one core or one GPU: its answers and its speed.

It runs in its own process (isolated.py), since an engine reads the CPU mask only once.
"""

import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from scripts.models.tools.answers import golden_function, head, open_engine
from scripts.models.tools.prepare.effort import THOROUGH, Effort
from worker.contract.engine import EngineSpec
from worker.contract.toml_reader import ModelError
from worker.engines import Engine, require_support
from worker.models.folder import ModelFolder, read_folder
from worker.models.golden import TOLERANCE, check_golden

CPU_SIZES, GPU_SIZES = (1, 2, 4, 8, 16), (1, 2, 4, 8, 16, 32, 64, 128)
MIN_SPEEDUP = 1.03  # the smallest speed-up per image that justifies a larger batch and its wait; less is noise
MIN_IMAGES = 50  # the fewest images to compare answers on, however long that takes
MAX_BATCH_S = 1.0  # longest batch: the next request waits for it
MIN_ROUNDS, MAX_ROUNDS = 3, 15
KILOBYTE = 1024


@dataclass(frozen=True)
class Candidate:
    """An engine in one precision on one machine kind; `gpu` is the UUID of the GPU that it runs on, "" for the CPU."""

    engine: str
    precision: str
    machine: str
    gpu: str = ""

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}{' on the GPU' if self.gpu else ''}"


@dataclass(frozen=True)
class ModelUnderTest:
    """The model to benchmark: its folder, its prepared networks by name, a .npy file of uint8 images [N, H, W, C]."""

    folder: Path
    prepared: Mapping[str, str]
    images: Path
    effort: Effort = THOROUGH


@dataclass(frozen=True)
class BenchmarkResult:
    """The result of one benchmark.

    `logits` is float32 [N, classes]; `fault` is the message of a failed golden check, or ""; `seconds` are seconds per
    image by batch size; `memory` is the peak resident memory in bytes.
    """

    logits: np.ndarray
    fault: str
    seconds: Mapping[int, float]
    memory: int

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The batch sizes worth using: 1, and each that is faster per image than every smaller one."""
        return useful_batch_sizes(self.seconds)


def useful_batch_sizes(seconds: Mapping[int, float]) -> tuple[int, ...]:
    """Return the smallest batch size in `seconds` (per image), and each that beats every smaller one by MIN_SPEEDUP."""
    smallest, *larger = sorted(seconds)
    useful = [smallest]
    for size in larger:
        if seconds[size] * MIN_SPEEDUP < seconds[useful[-1]]:
            useful.append(size)
    return tuple(useful)


def run_benchmark(model: ModelUnderTest, candidate: Candidate, threads: int) -> BenchmarkResult:
    """Benchmark `candidate` on the cores this process is pinned to. Raise ModelError if it cannot run the network."""
    images = np.load(model.images)
    folder, engine = open_candidate(model, candidate, (1,), threads)
    logits, fault = _logits(folder, engine, images, model.effort.check_s), golden_fault(folder, engine)
    max_size = MAX_BATCH_S / _timed(engine, images[:1], 0)
    sizes = [size for size in (GPU_SIZES if candidate.gpu else CPU_SIZES) if size == 1 or size <= max_size]
    try:
        folder, engine = open_candidate(model, candidate, sizes, threads)
    except ModelError:  # some networks are exported for one batch size
        sizes = [1]
    valid_sizes = [size for size in sizes if size == 1 or _gives_same_scores(folder, engine, images, logits, size)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
    return BenchmarkResult(logits, fault, _seconds(engine, images, valid_sizes, model.effort), memory)


def open_candidate(
    model: ModelUnderTest, candidate: Candidate, sizes: Sequence[int], threads: int
) -> tuple[ModelFolder, Engine]:
    """Return the folder with `candidate` as its only choice, and the engine, warmed up at all batch `sizes`.

    Raise ModelError if the engine cannot run the network.
    """
    folder = read_folder(model.folder)
    require_support(candidate.engine, candidate.precision)
    spec = EngineSpec(candidate.engine, candidate.precision, tuple(sizes), prepared=model.prepared)
    folder = replace(folder, engine=spec)
    return folder, open_engine(folder, threads, candidate.gpu)


def golden_fault(folder: ModelFolder, engine: Engine) -> str:
    """Return the message of the failed golden check, "" if `engine` answers the golden images as recorded."""
    try:
        check_golden(folder, golden_function(folder, engine), engine.precision)
    except ModelError as error:
        return str(error)
    return ""


def _logits(folder: ModelFolder, engine: Engine, images: np.ndarray, limit_s: float) -> np.ndarray:
    started, rows = time.monotonic(), []
    for image in images:
        rows.append(engine.infer(image[None])[0])
        if len(rows) >= MIN_IMAGES and time.monotonic() - started > limit_s:
            break
    return head(folder)(np.stack(rows))


def _gives_same_scores(folder: ModelFolder, engine: Engine, images: np.ndarray, logits: np.ndarray, size: int) -> bool:
    """Return whether a batch of `size` gets the same answers as its images one by one.

    A conversion may have fixed the batch size.
    """
    indices = np.arange(size) % len(logits)
    try:
        batch = head(folder)(engine.infer(images[indices]))
    except Exception:  # any exception of an engine means that it cannot run this size
        return False
    difference = np.abs(folder.output.scores(batch) - folder.output.scores(logits[indices])).max()
    return bool(difference <= TOLERANCE)


def _seconds(engine: Engine, images: np.ndarray, sizes: Sequence[int], effort: Effort) -> dict[int, float]:
    """Return the seconds per image at each batch size.

    They are medians over rounds that run every size once, so that a disturbance affects all sizes alike.
    """
    batches = {size: images[np.arange(size) % len(images)] for size in sizes}
    timings: dict[int, list[float]] = {size: [] for size in sizes}
    end = time.monotonic() + effort.measure_s
    while len(timings[1]) < MIN_ROUNDS or (len(timings[1]) < MAX_ROUNDS and time.monotonic() < end):
        for size, batch in batches.items():
            timings[size].append(_timed(engine, batch, effort.min_run_s) / size)
    return {size: median(times) for size, times in timings.items()}


def _timed(engine: Engine, batch: np.ndarray, min_s: float) -> float:
    """Return the mean seconds of one inference of `batch`, repeated for at least `min_s` seconds."""
    started, runs = time.perf_counter(), 0
    while not runs or time.perf_counter() - started < min_s:
        engine.infer(batch)
        runs += 1
    return (time.perf_counter() - started) / runs

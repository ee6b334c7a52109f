"""One engine in one precision, tried on one core or one GPU: what it answers, and how long it takes.

Runs in a process of its own (apart.py): an engine reads its CPU mask once.
"""

import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from scripts.models.tools.answers import asker, head, open_engine
from scripts.models.tools.prepare.effort import WHOLE, Effort
from worker.contract.engine import EngineSpec
from worker.contract.fields import ModelError
from worker.engines import Engine, require_support
from worker.models.folder import ModelFolder, read_folder
from worker.models.golden import TOLERANCE, check_golden

CPU_SIZES, GPU_SIZES = (1, 2, 4, 8, 16), (1, 2, 4, 8, 16, 32, 64, 128)
GAIN = 1.03  # a larger batch must be so much faster an image, to be worth its wait: less is noise
LEAST = 50  # images that answers are compared on, however long that takes
LONGEST_BATCH_S = 1.0  # what a batch may take: whoever comes next waits for it
LEAST_ROUNDS, MOST_ROUNDS = 3, 15
KILOBYTE = 1024


@dataclass(frozen=True)
class Candidate:
    """An engine in a precision on a kind of machine; `gpu` is the UUID of the GPU it runs on, "" for the CPU."""

    engine: str
    precision: str
    machine: str
    gpu: str = ""

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}{' on the GPU' if self.gpu else ''}"


@dataclass(frozen=True)
class Subject:
    """What is tried: a model folder, its prepared networks by name, and a .npy file of images [N, H, W, C]."""

    folder: Path
    prepared: Mapping[str, str]
    images: Path
    effort: Effort = WHOLE


@dataclass(frozen=True)
class BenchmarkResult:
    """Float32 logits [N, classes], the fault of the golden check or "", seconds an image by batch size, bytes held."""

    logits: np.ndarray
    fault: str
    seconds: Mapping[int, float]
    memory: int

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """1, and each size that is faster an image than all smaller ones by more than noise."""
        return worth_having(self.seconds)


def worth_having(seconds: Mapping[int, float]) -> tuple[int, ...]:
    """Of the batch sizes in `seconds` (an image) those that beat every smaller one by GAIN; the smallest always."""
    best, *others = sorted(seconds)
    kept = [best]
    for size in others:
        if seconds[size] * GAIN < seconds[kept[-1]]:
            kept.append(size)
    return tuple(kept)


def run_benchmark(subject: Subject, candidate: Candidate, threads: int) -> BenchmarkResult:
    """Try `candidate` on the cores that this process is pinned to; raises ModelError when it cannot run the network."""
    images = np.load(subject.images)
    folder, engine = opened(subject, candidate, (1,), threads)
    logits, fault = _answers(folder, engine, images, subject.effort.check_s), golden_fault(folder, engine)
    most = LONGEST_BATCH_S / _timed(engine, images[:1], 0)
    sizes = [size for size in (GPU_SIZES if candidate.gpu else CPU_SIZES) if size == 1 or size <= most]
    try:
        folder, engine = opened(subject, candidate, sizes, threads)
    except ModelError:  # some networks are exported for one batch size
        sizes = [1]
    sound = [size for size in sizes if size == 1 or _alike(folder, engine, images, logits, size)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
    return BenchmarkResult(logits, fault, _seconds(engine, images, sound, subject.effort), memory)


def opened(subject: Subject, candidate: Candidate, sizes: Sequence[int], threads: int) -> tuple[ModelFolder, Engine]:
    """The folder with nothing but `candidate` to choose from, and its engine, warmed up at all `sizes`."""
    folder = read_folder(subject.folder)
    require_support(candidate.engine, candidate.precision)
    spec = EngineSpec(candidate.engine, candidate.precision, tuple(sizes), prepared=subject.prepared)
    folder = replace(folder, engine=spec)
    return folder, open_engine(folder, threads, candidate.gpu)


def golden_fault(folder: ModelFolder, engine: Engine) -> str:
    """Why `engine` may not answer for the folder, "" when its golden images come back as recorded."""
    try:
        check_golden(folder, asker(folder, engine), engine.precision)
    except ModelError as error:
        return str(error)
    return ""


def _answers(folder: ModelFolder, engine: Engine, images: np.ndarray, limit_s: float) -> np.ndarray:
    started, rows = time.monotonic(), []
    for image in images:
        rows.append(engine.infer(image[None])[0])
        if len(rows) >= LEAST and time.monotonic() - started > limit_s:
            break
    return head(folder)(np.stack(rows))


def _alike(folder: ModelFolder, engine: Engine, images: np.ndarray, logits: np.ndarray, size: int) -> bool:
    """Whether a batch of `size` is answered as its images are one by one: a conversion may have fixed the size."""
    chosen = np.arange(size) % len(logits)
    try:
        batch = head(folder)(engine.infer(images[chosen]))
    except Exception:  # whatever an engine raises: it cannot run this size
        return False
    difference = np.abs(folder.output.scores(batch) - folder.output.scores(logits[chosen])).max()
    return bool(difference <= TOLERANCE)


def _seconds(engine: Engine, images: np.ndarray, sizes: Sequence[int], effort: Effort) -> dict[int, float]:
    """Seconds an image at each size: medians of rounds in which every size has its turn, so that none has luck."""
    batches = {size: images[np.arange(size) % len(images)] for size in sizes}
    found: dict[int, list[float]] = {size: [] for size in sizes}
    end = time.monotonic() + effort.measure_s
    while len(found[1]) < LEAST_ROUNDS or (len(found[1]) < MOST_ROUNDS and time.monotonic() < end):
        for size, batch in batches.items():
            found[size].append(_timed(engine, batch, effort.turn_s) / size)
    return {size: median(times) for size, times in found.items()}


def _timed(engine: Engine, batch: np.ndarray, least_s: float) -> float:
    """Seconds that one inference of `batch` takes, the mean over `least_s` seconds of them."""
    started, runs = time.perf_counter(), 0
    while not runs or time.perf_counter() - started < least_s:
        engine.infer(batch)
        runs += 1
    return (time.perf_counter() - started) / runs

"""Classify many images in parallel: each process is pinned to its cores and decodes and answers as a worker does.

An image that crashes or hangs its process gets no answer, and a new process continues with the others.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from scripts.cluster.cpu_sets import physical_cores
from scripts.cluster.hardware import Hardware
from scripts.cluster.plan import assign_cores
from scripts.models.tools.answers import check_label_count, count_outputs, logits_function, open_engine
from scripts.models.tools.evaluate.metrics import TOP
from scripts.models.tools.prepare import scaling
from scripts.models.tools.prepare.isolated import EXIT_TIMEOUT_S, SPAWN, IsolatedProcess, Placement, ProcessFailed
from scripts.models.tools.prepare.measure import MEMORY_SHARE
from worker.contract.errors import ServiceError
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder, read_folder

T = TypeVar("T")
QUEUE_LENGTH = 2  # images sent to a process: it works on the second while the first answer is read
LOAD_TIMEOUT_S, IMAGE_TIMEOUT_S = 600.0, 300.0  # a process that takes longer counts as hung
CHECK_INTERVAL_S = 1.0  # between two checks for hung processes
MAX_FILE_BYTES = 1 << 29  # read of a file
PROCESS_BYTES = 700_000_000  # of an interpreter, its libraries, and the largest permitted image while it is decoded
COPIES = 3  # of a network in memory: as it was read, and compiled for two batch sizes


@dataclass(frozen=True)
class Answer:
    """The TOP classes of an image, best first, and the score of the first."""

    best: tuple[int, ...]
    score: float


Result = Answer | str  # or why there is no answer
# In a process: send None on the connection once ready, then a result for every path received, with threads= and gpu=.
Work = Callable[..., None]


def placements(hardware: Hardware, folder: Path, on_gpus: bool) -> list[Placement]:
    """Return the placements of the processes: one for each GPU, or as many on all cores as the memory allows."""
    if on_gpus:
        cores = physical_cores(hardware.cpus)
        return [
            Placement(scaling.cpu_numbers(near), gpu.uuid)
            for gpu, near in assign_cores(hardware.gpus[: len(cores)], cores)
        ]
    model_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    process_bytes = PROCESS_BYTES + COPIES * model_bytes
    choices = [scaling.placements(hardware.cpus, size) for size in scaling.sizes(hardware.cpus)]
    memory_bytes = MEMORY_SHARE * hardware.memory_bytes
    return next((choice for choice in choices if len(choice) * process_bytes <= memory_bytes), choices[-1])


def answers(
    folder: Path, images: Sequence[Path], placements: Sequence[Placement], ready: Callable[[], None]
) -> Iterator[tuple[int, Result]]:
    """Yield the position of every image with its answer by the model `folder`, as `results` does."""
    return results(partial(answer_all, path=folder), images, placements, ready)


def results(
    work: Work, images: Sequence[Any], placements: Sequence[Placement], ready: Callable[[], None]
) -> Iterator[tuple[int, Any]]:
    """Yield the position of every image with its result by `work`, in the order of completion.

    Each of `images` is a path, or what else `work` receives for an image.

    Call `ready` once the first process has loaded the engine. Raise ModelError if a process cannot load it. For an
    image that ends its process, the result is a text that says why.
    """
    waiting, started = deque(range(len(images))), False
    evaluators = [Evaluator(placement, work) for placement in placements[: len(images)]]
    try:
        while waiting or any(evaluator.sent for evaluator in evaluators):
            wait([evaluator.connection for evaluator in evaluators], CHECK_INTERVAL_S)
            for number, evaluator in enumerate(evaluators):
                yield from evaluator.receive()
                if evaluator.loaded and not started:
                    started = True
                    ready()
                if evaluator.fault:
                    if not evaluator.loaded:
                        raise ModelError(evaluator.fault)
                    if evaluator.sent:
                        yield evaluator.sent.popleft(), evaluator.fault
                    waiting.extendleft(reversed(evaluator.sent))
                    evaluator.stop()
                    evaluators[number] = Evaluator(evaluator.placement, work)
                elif evaluator.loaded:
                    while waiting and len(evaluator.sent) < QUEUE_LENGTH:
                        evaluator.send(waiting[0], images[waiting.popleft()])
    finally:
        for evaluator in evaluators:
            evaluator.stop()


class Evaluator:
    """A process at `placement` that does `work` on images in the order in which they are sent."""

    def __init__(self, placement: Placement, work: Work) -> None:
        self.placement = placement
        self.sent: deque[int] = deque()  # positions of images without an answer
        self.loaded = False
        self.fault = ""  # why the process ended or hangs
        self._timeout_s, self._last_answer_s = LOAD_TIMEOUT_S, time.monotonic()
        self.connection, child_connection = SPAWN.Pipe()
        self._process = IsolatedProcess(
            placement, partial(work, threads=len(placement.cpus), gpu=placement.gpu), child_connection
        )
        child_connection.close()

    def send(self, position: int, image: Any) -> None:
        """Send `image` to the process."""
        if not self.sent:
            self._last_answer_s = time.monotonic()
        self.sent.append(position)
        with suppress(OSError):  # the process has ended, which the next call of receive detects
            self.connection.send(image)

    def receive(self) -> Iterator[tuple[int, Any]]:
        """Yield the results that have arrived; set `loaded`, and set `fault` if the process has ended or hangs."""
        try:
            while self.connection.poll():
                answer = self.connection.recv()
                self._timeout_s, self._last_answer_s = IMAGE_TIMEOUT_S, time.monotonic()
                if self.loaded:
                    yield self.sent.popleft(), answer
                self.loaded = True
        except (EOFError, OSError):
            self.fault = self._exit_reason()
        busy = self.sent or not self.loaded
        if busy and not self.fault and time.monotonic() - self._last_answer_s > self._timeout_s:
            self.fault = f"no answer within {self._timeout_s:.0f} s"

    def _exit_reason(self) -> str:
        try:
            self._process.result(EXIT_TIMEOUT_S)
        except ProcessFailed as failure:
            return str(failure)
        return "its process ended"

    def stop(self) -> None:
        """Stop the process, whatever it is doing."""
        self._process.__exit__()
        self.connection.close()


def answer_all(images: Connection, path: Path, threads: int, gpu: str) -> None:
    """Send None once the engine is ready, then a result for every path received; raise ModelError."""
    folder = read_folder(path)
    engine = open_engine(folder, threads, gpu)
    check_label_count(folder.output.labels, count_outputs(folder, engine))
    get_logits = logits_function(folder, engine)
    images.send(None)
    while True:
        images.send(_answer(folder, get_logits, images.recv()))


def value_or_fault(path: Path, compute: Callable[[bytes], T]) -> T | str:
    """Return what `compute` makes of the image file at `path`, or a text that says why it makes nothing."""
    try:
        with path.open("rb") as file:
            return compute(file.read(MAX_FILE_BYTES))
    except ServiceError as error:
        return error.message
    except OSError as error:
        return error.strerror or str(error)
    except Exception as error:  # an engine may raise anything, and the other images must still have their turn
        return " ".join(f"{type(error).__name__}: {error}".split())


def _answer(folder: ModelFolder, get_logits: Callable[[bytes], np.ndarray], path: Path) -> Result:
    scores = value_or_fault(path, lambda data: folder.output.scores(get_logits(data)))
    if isinstance(scores, str):
        return scores
    best = folder.output.best(scores, TOP)
    if not np.isfinite(scores[best]).all():
        return "the network returned scores that are not finite numbers"
    return Answer(tuple(best), float(scores[best[0]]))

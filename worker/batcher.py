"""The one thread that runs the engine: takes what is waiting, in the batch sizes the engine was prepared for."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

Infer = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Inferred:
    """One picture's float32 logits [classes], and the seconds it waited and ran."""

    logits: np.ndarray
    queue_s: float
    inference_s: float


@dataclass
class _Job:
    picture: np.ndarray
    future: "Future[Inferred]" = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)


class Batcher:
    """Feeds `infer` (uint8 [N, H, W, 3] -> float32 [N, classes]) with N always one of `batch_sizes`.

    It never waits for a batch to fill: a lone picture goes at once, and batches form only while the engine is
    busy. So batching costs nothing when it gains nothing. `observe` hears the size of every batch.
    """

    def __init__(self, infer: Infer, batch_sizes: Sequence[int], observe: Callable[[int], None]) -> None:
        self._infer = infer
        self._sizes = sorted(batch_sizes, reverse=True)
        self._observe = observe
        self._waiting: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._since: float | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, picture: np.ndarray) -> "Future[Inferred]":
        """Queue one picture, uint8 [H, W, 3]. Cancelling the future takes it out of the queue again."""
        job = _Job(picture)
        self._waiting.put(job)
        return job.future

    @property
    def queued(self) -> int:
        return self._waiting.qsize()

    def busy_s(self) -> float:
        """Seconds the running inference has taken so far; 0 when idle."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while True:
            jobs = [job for job in self._take() if job.future.set_running_or_notify_cancel()]
            while jobs:
                size = next(size for size in self._sizes if size <= len(jobs))
                self._answer(jobs[:size])
                jobs = jobs[size:]

    def _take(self) -> list[_Job]:
        jobs = [self._waiting.get()]
        while len(jobs) < self._sizes[0]:
            try:
                jobs.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return jobs

    def _answer(self, jobs: list[_Job]) -> None:
        started = self._since = time.monotonic()
        try:
            logits = self._infer(np.stack([job.picture for job in jobs]))
        except Exception as error:
            self._blame(jobs, error)
            return
        finally:
            self._since = None
        self._observe(len(jobs))
        seconds = time.monotonic() - started
        for job, row in zip(jobs, logits, strict=True):
            job.future.set_result(Inferred(row, started - job.submitted, seconds))

    def _blame(self, jobs: list[_Job], error: Exception) -> None:
        """A batch failed: run its pictures one by one, so that one bad picture fails alone."""
        if len(jobs) == 1:
            jobs[0].future.set_exception(error)
            return
        for job in jobs:
            self._answer([job])

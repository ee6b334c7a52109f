"""The one thread that runs the engine: takes what is waiting, in the batch sizes the engine was prepared for."""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Infer = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True, slots=True)
class Inferred:
    """One image's float32 logits [classes], and the seconds it waited and ran."""

    logits: np.ndarray
    queue_s: float
    inference_s: float


class Pending:
    """One image on its way through the engine.

    A bare lock: a Future of the standard library, with its condition, took 0.2 ms more an image, for its code is
    cold after every inference.
    """

    __slots__ = ("_answer", "_done", "cancelled", "image", "submitted")

    def __init__(self, image: np.ndarray) -> None:
        self.image, self.submitted, self.cancelled = image, time.monotonic(), False
        self._answer: Inferred | Exception | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def result(self, timeout: float | None = None) -> Inferred:
        """Its answer; raises what the engine raised, and TimeoutError after `timeout` seconds."""
        if not self._done.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
            raise TimeoutError
        self._done.release()
        if isinstance(self._answer, Inferred):
            return self._answer
        raise self._answer or RuntimeError("done without an answer")

    def cancel(self) -> None:
        """Nobody waits for it any more: it is not run, unless it runs already."""
        self.cancelled = True

    def set_result(self, answer: Inferred | Exception) -> None:
        """Give it its answer, once."""
        self._answer = answer
        self._done.release()


class Batcher:
    """Feeds `infer` (images, each uint8 [H, W, C] -> float32 [N, classes]).

    `seconds` holds every prepared batch size and what it takes, in any unit: of many waiting images those batches
    are run that together take least (`quickest`). A single image goes at once, and batches form while the engine is
    busy, so batching costs nothing where it gains nothing; only with `wait_s` does an image wait for company, that
    many seconds from its arrival. `observe` hears how many images were in every batch.
    """

    def __init__(
        self, infer: Infer, seconds: Mapping[int, float], observe: Callable[[int], None], wait_s: float = 0.0
    ) -> None:
        self._infer, self._observe, self._wait_s = infer, observe, wait_s
        self._take = plan_batches(seconds)
        self._waiting: queue.SimpleQueue[Pending] = queue.SimpleQueue()
        self._taken: list[Pending] = []
        self._since: float | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, image: np.ndarray) -> Pending:
        """Queue one image, uint8 [H, W, C]."""
        pending = Pending(image)
        self._waiting.put(pending)
        return pending

    @property
    def queued(self) -> int:
        return self._waiting.qsize() + len(self._taken)

    def busy_s(self) -> float:
        """Seconds the running inference has taken so far; 0 when idle."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._gather()
            count = self._take[len(self._taken)]
            batch, self._taken = self._taken[:count], self._taken[count:]
            if batch:
                self._answer(batch)

    def _gather(self) -> None:
        """Take what is waiting, up to a full batch; wait while there is nothing."""
        taken = self._taken or [self._waiting.get()]
        full, until = len(self._take) - 1, taken[0].submitted + self._wait_s
        try:
            while len(taken) < full:
                taken.append(self._waiting.get(timeout=max(0.0, until - time.monotonic())))
        except queue.Empty:
            pass
        self._taken = [pending for pending in taken if not pending.cancelled]

    def _answer(self, batch: list[Pending]) -> None:
        started = self._since = time.monotonic()
        try:
            logits = self._infer([pending.image for pending in batch])
        except Exception as error:
            self._blame(batch, error)
            return
        finally:
            self._since = None
        seconds = time.monotonic() - started
        self._observe(len(batch))
        for pending, row in zip(batch, logits, strict=True):
            pending.set_result(Inferred(row, started - pending.submitted, seconds))

    def _blame(self, batch: list[Pending], error: Exception) -> None:
        """A batch failed: run its images one by one, so that one bad image fails alone."""
        if len(batch) == 1:
            batch[0].set_result(error)
            return
        for pending in batch:
            self._answer([pending])


def plan_batches(seconds: Mapping[int, float]) -> list[int]:
    """How many to run at once when n are waiting, for n from 0 to the largest batch size.

    That is the first batch of the quickest way through all n, given the `seconds` of each size; a batch may run partly
    empty where that is quicker than several small ones. Of equal ways the one with the larger batch.
    """
    total, first = [0.0], [0]
    for waiting in range(1, max(seconds) + 1):
        best, size = min((spent + total[max(0, waiting - size)], -size) for size, spent in seconds.items())
        total.append(best)
        first.append(min(waiting, -size))
    return first

"""The batcher: one thread runs the engine on the waiting inputs, in the batch sizes the engine was prepared for."""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worker.pipeline.turns import Turns

ATTENTIVE_S = 1.0  # so long after an ordinary input the next one must not meet a large batch of the background
Infer = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """One input's float32 logits [classes], and its seconds in the queue and in the engine."""

    logits: np.ndarray
    queue_s: float
    inference_s: float


class PendingInput:
    """One input, queued or running, and later its result.

    It uses a bare lock: a `concurrent.futures.Future`, with its condition, cost 0.2 ms more an image, because its
    code has left the processor's caches after every inference.
    """

    __slots__ = ("_done", "_result", "background", "cancelled", "image", "submitted")

    def __init__(self, image: np.ndarray, background: bool) -> None:
        self.image, self.background = image, background
        self.submitted = time.monotonic()
        self.cancelled = False
        self._result: InferenceResult | Exception | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def wait(self, seconds: float) -> bool:
        """Return whether the input is done within `seconds`."""
        if not self._done.acquire(timeout=max(0.0, seconds)):
            return False
        self._done.release()
        return True

    def result(self, timeout: float) -> InferenceResult:
        """Return the result; raise what the engine raised, or TimeoutError after `timeout` seconds."""
        if not self.wait(timeout):
            raise TimeoutError
        if isinstance(self._result, InferenceResult):
            return self._result
        raise self._result or RuntimeError("done without a result")

    def cancel(self) -> None:
        """Drop the input from the queue; one that runs already is not stopped."""
        self.cancelled = True

    def set_result(self, result: InferenceResult | Exception) -> None:
        """Store the result and wake whoever waits for it. To be called once."""
        self._result = result
        self._done.release()


class Batcher:
    """Run `infer` (inputs, each uint8 [H, W, C] -> float32 logits [N, classes]) in batches, on one thread.

    `seconds` maps every prepared batch size to its duration, in any unit; waiting inputs are split into the batches
    that take least time together (`plan_batches`). An input that finds the engine idle runs at once, and batches
    form while the engine is busy, so that batching never adds a delay. Only with `wait_s` above 0 does an input
    wait that many seconds from its arrival for others to join. `observe` is called with the size of every batch.

    Inputs run in the order of Turns: those in the background, of which one request has many, let the others pass, in
    batches of their own.
    """

    def __init__(
        self, infer: Infer, seconds: Mapping[int, float], observe: Callable[[int], None], wait_s: float = 0.0
    ) -> None:
        self._infer, self._observe, self._wait_s = infer, observe, wait_s
        self._batch_sizes = plan_batches(seconds)
        self._arrived: queue.SimpleQueue[PendingInput] = queue.SimpleQueue()
        self._waiting = Turns[PendingInput]()  # of the engine's thread
        self._last_ordinary = float("-inf")
        self._smallest_fast_size = min(seconds, key=lambda size: (seconds[size] / size, size))
        self._running_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, image: np.ndarray, background: bool = False) -> PendingInput:
        """Queue one input, uint8 [H, W, C]."""
        pending = PendingInput(image, background)
        self._arrived.put(pending)
        return pending

    @property
    def queued(self) -> int:
        return self._arrived.qsize() + len(self._waiting)

    def busy_s(self) -> float:
        """Return the seconds that the running inference has taken so far; 0 if none runs."""
        since = self._running_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._gather()
            if batch := self._waiting.take(self._next_size()):
                self._run_batch(batch)

    def _next_size(self) -> int:
        """Return how many inputs to run next; in the background few at once while ordinary inputs keep arriving."""
        size = self._batch_sizes[min(self._waiting.ready(), len(self._batch_sizes) - 1)]
        if self._waiting.in_background and time.monotonic() < self._last_ordinary + ATTENTIVE_S:
            return min(size, self._smallest_fast_size)
        return size

    def _gather(self) -> None:
        """Let all inputs that have arrived wait for their turn; block while there are none, then `wait_s` at most."""
        if not self._waiting:
            self._receive(self._arrived.get())
        full, until = len(self._batch_sizes) - 1, self._waiting.first().submitted + self._wait_s
        try:
            while True:
                seconds = until - time.monotonic() if len(self._waiting) < full else 0.0
                self._receive(self._arrived.get(timeout=max(0.0, seconds)))
        except queue.Empty:
            pass
        self._waiting.remove(lambda pending: pending.cancelled)

    def _receive(self, pending: PendingInput) -> None:
        self._waiting.add(pending, pending.background)
        if not pending.background:
            self._last_ordinary = pending.submitted

    def _run_batch(self, batch: list[PendingInput]) -> None:
        started = self._running_since = time.monotonic()
        try:
            logits = self._infer([pending.image for pending in batch])
        except Exception as error:
            self._retry_individually(batch, error)
            return
        finally:
            self._running_since = None
        seconds = time.monotonic() - started
        self._observe(len(batch))
        for pending, row in zip(batch, logits, strict=True):
            pending.set_result(InferenceResult(row, started - pending.submitted, seconds))

    def _retry_individually(self, batch: list[PendingInput], error: Exception) -> None:
        """Run the inputs of a failed batch one by one, so that a bad one fails alone."""
        if len(batch) == 1:
            batch[0].set_result(error)
            return
        for pending in batch:
            self._run_batch([pending])


def plan_batches(seconds: Mapping[int, float]) -> list[int]:
    """Return, for each n from 0 to the largest batch size, how many inputs to run first when n are waiting.

    Dynamic programming over n finds the split into batches with the least total of `seconds`; the result is the
    split's first batch, the larger one of equally fast splits. A batch may run partly empty if that is faster than
    several small ones.
    """
    total, first_batch = [0.0], [0]
    for waiting in range(1, max(seconds) + 1):
        best, size = min((spent + total[max(0, waiting - size)], -size) for size, spent in seconds.items())
        total.append(best)
        first_batch.append(min(waiting, -size))
    return first_batch

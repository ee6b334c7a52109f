"""The batcher: one thread runs the engine on the waiting inputs, in the batch sizes the engine was prepared for."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError, internal_error
from worker.pipeline.batch_plan import plan_batches
from worker.pipeline.engine_guard import EngineGuard, check_outputs, describe
from worker.pipeline.pending_input import InferenceResult, PendingInput
from worker.pipeline.turns import Turns

INTERACTIVE_WINDOW_S = 1.0  # so long after an ordinary input the next one must not meet a large batch of the background
ENDED = "the engine's thread has ended"

log = logging.getLogger(__name__)

Infer = Callable[[Sequence[np.ndarray]], np.ndarray]


class Batcher:
    """Run `infer` (inputs, each uint8 [H, W, C] -> float32 logits [N, outputs]) in batches, on one thread.

    `seconds` maps every prepared batch size to its duration, in any unit; waiting inputs are split into the batches
    that take least time together (batch_plan.py). An input that finds the engine idle runs at once, and batches
    form while the engine is busy, so that batching never adds a delay. Only with `wait_s` above 0 does an input
    wait that many seconds from its arrival for others to join. `observe` is called with the size of every batch.

    Inputs run in the order of Turns: those in the background, of which one request has many, let the others pass, in
    batches of their own.

    Once `guard` finds that the engine can no longer answer, or when the thread ends for any other reason, `fault` says
    why, and every input, waiting or new, fails at once with ServiceError NOT_READY.
    """

    def __init__(
        self,
        infer: Infer,
        seconds: Mapping[int, float],
        observe: Callable[[int], None],
        wait_s: float = 0.0,
        guard: EngineGuard | None = None,
        outputs: int | None = None,
    ) -> None:
        self._infer, self._observe, self._wait_s, self._outputs = infer, observe, wait_s, outputs
        self._guard = guard or EngineGuard(lambda: None)
        self.fault: str | None = None
        self._batch_sizes = plan_batches(seconds)
        self._arrived: queue.SimpleQueue[PendingInput] = queue.SimpleQueue()
        self._waiting = Turns[PendingInput]()  # of the engine's thread
        self._batch: list[PendingInput] = []
        self._last_ordinary = float("-inf")
        self._smallest_fast_size = min(seconds, key=lambda size: (seconds[size] / size, size))
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, image: np.ndarray, background: bool = False) -> PendingInput:
        """Queue one input, uint8 [H, W, C]."""
        pending = PendingInput(image, background)
        self._arrived.put(pending)
        if self.fault:  # the thread that would take it has ended
            self._refuse_waiting()
        return pending

    @property
    def queued(self) -> int:
        return self._arrived.qsize() + len(self._waiting)

    def find_fault(self) -> str | None:
        """Return why the engine cannot answer any more; None if it can, or hangs."""
        return self.fault or (None if self._thread.is_alive() else ENDED)

    def _run(self) -> None:
        fault = ENDED
        try:
            fault = self._run_until_broken()
        except BaseException as error:
            fault = f"the engine's thread failed: {describe(error)}"
            log.exception("the engine's thread failed")
        finally:
            self.fault = fault
            for pending in self._batch:
                pending.fail(internal_error())  # not NOT_READY: it may be what ended the thread
            self._refuse_waiting()

    def _run_until_broken(self) -> str:
        """Run batches until the guard finds a fault; return it."""
        while True:
            self._gather()
            self._batch = self._waiting.take(self._next_size())
            if self._batch:
                error = self._run_batch(self._batch)
                self._guard.count(error)
                if self._guard.fault:
                    return self._guard.fault

    def _refuse_waiting(self) -> None:
        refused = self._waiting.clear()
        try:
            while True:
                refused.append(self._arrived.get_nowait())
        except queue.Empty:
            pass
        for pending in refused:
            found = f"found this worker's engine broken: {self.fault}"
            pending.fail(ServiceError(ErrorCode.NOT_READY, f"{found}, needed one that answers: try again shortly"))

    def _next_size(self) -> int:
        """Return how many inputs to run next; in the background few at once while ordinary inputs keep arriving."""
        size = self._batch_sizes[min(self._waiting.ready(), len(self._batch_sizes) - 1)]
        if self._waiting.in_background and time.monotonic() < self._last_ordinary + INTERACTIVE_WINDOW_S:
            return min(size, self._smallest_fast_size)
        return size

    def _gather(self) -> None:
        """Let all inputs that have arrived wait for their turn; block while there are none, then `wait_s` at most."""
        if not self._waiting:
            self._receive(self._arrived.get())
        full, until = len(self._batch_sizes) - 1, self._waiting.first().submitted + self._wait_s
        with suppress(queue.Empty):
            while (left := until - time.monotonic() if len(self._waiting) < full else 0.0) > 0 or self._arrived.qsize():
                self._receive(self._arrived.get(timeout=max(0.0, left)))
        self._waiting.remove(lambda pending: pending.cancelled)

    def _receive(self, pending: PendingInput) -> None:
        self._waiting.add(pending, pending.background)
        if not pending.background:
            self._last_ordinary = pending.submitted

    def _run_batch(self, batch: list[PendingInput]) -> Exception | None:
        """Give each of `batch` its result; return why all of them failed, None if any did not."""
        started = time.monotonic()
        try:
            logits = self._infer([pending.image for pending in batch])
            seconds = time.monotonic() - started
            check_outputs(logits, len(batch), self._outputs)
            self._observe(len(batch))
        except Exception as error:
            return self._retry_individually(batch, error)
        for pending, row in zip(batch, logits, strict=True):
            pending.set_result(InferenceResult(row, started - pending.submitted, seconds))
        return None

    def _retry_individually(self, batch: list[PendingInput], error: Exception) -> Exception | None:
        """Run the inputs of a failed batch one by one, so that a bad one fails alone; return what `_run_batch` does."""
        if len(batch) == 1:
            batch[0].set_result(error)
            return error
        errors = [self._run_batch([pending]) for pending in batch]
        return error if all(errors) else None

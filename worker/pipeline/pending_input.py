"""One input on its way through the engine, and later its result."""

import threading
import time

import msgspec
import numpy as np


class InferenceResult(msgspec.Struct, frozen=True):
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
        if self._result is None and not self.wait(timeout):
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

    def fail(self, error: Exception) -> None:
        """Store `error` unless there is a result."""
        if self._result is None:
            self.set_result(error)

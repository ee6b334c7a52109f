"""One image's way: decode -> batch -> engine -> scores. Knows the order of the stages, not what they do."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from worker.admission import Deadline
from worker.batcher import Inferred
from worker.metrics import Metrics


@dataclass(frozen=True)
class Classified:
    """One image's float32 logits [classes] and where its time went, in seconds."""

    logits: np.ndarray
    queue_s: float
    decode_s: float
    inference_s: float


class Classifier:
    """Takes the bytes of an image through the stages given to it, and measures each."""

    def __init__(
        self,
        decode: Callable[[bytes], np.ndarray],
        submit: Callable[[np.ndarray], "Future[Inferred]"],
        metrics: Metrics,
        decoders: int,
    ) -> None:
        self._decode, self._submit, self._metrics = decode, submit, metrics
        # A picture of the largest size takes hundreds of megabytes while it is decoded: bound how many do at once.
        self._decoding = threading.BoundedSemaphore(decoders)

    def start(self, image: bytes) -> Callable[[Deadline], Classified]:
        """Decode `image` now and queue it; the function returned waits for its answer.

        Raises what decoding raises; the function raises DeadlinePassed, and then takes the image out of the queue.
        """
        started = time.monotonic()
        with self._decoding:
            pixels = self._decode(image)
        decode_s = time.monotonic() - started
        future = self._submit(pixels)

        def finish(deadline: Deadline) -> Classified:
            try:
                inferred = future.result(timeout=deadline.left())
            except TimeoutError as error:
                raise deadline.passed() from error
            finally:
                future.cancel()
            self._metrics.decode.observe(decode_s)
            self._metrics.queue.observe(inferred.queue_s)
            self._metrics.inference.observe(inferred.inference_s)
            return Classified(inferred.logits, inferred.queue_s, decode_s, inferred.inference_s)

        return finish

"""One image's way: decode -> batch -> engine -> scores. Knows the order of the stages, not what they do."""

import threading
import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.pipeline.admission import Deadline
from worker.pipeline.batcher import Inferred, Pending

Merge = Callable[[Sequence[np.ndarray]], np.ndarray]  # the logits [classes] of every tile -> of the image
Observe = Callable[[float, float, float], None]  # seconds of every image: queue, decoding, inference
Head = Callable[[np.ndarray], np.ndarray]  # what a network gives, float32 [..., D] -> logits [..., classes]


def identity(outputs: np.ndarray) -> np.ndarray:
    """The head of a network that gives logits itself."""
    return outputs


def single_tile(logits: Sequence[np.ndarray]) -> np.ndarray:
    """The logits of an image that is its only tile."""
    return logits[0]


@dataclass(frozen=True)
class Classified:
    """One image's float32 logits [classes] and where its time went, in seconds.

    Of several tiles that is the wait until the first is run, and from there until the last is done.
    """

    logits: np.ndarray
    queue_s: float
    decode_s: float
    inference_s: float


class Classifier:
    """Takes the bytes of an image through the stages given to it, and measures each."""

    def __init__(
        self,
        decode: Callable[[bytes], Sequence[np.ndarray]],
        submit: Callable[[np.ndarray], Pending],
        observe: Observe,
        decoders: int,
        head: Head = identity,
        merge: Merge = single_tile,
    ) -> None:
        self._decode, self._submit, self._observe = decode, submit, observe
        self._head, self._merge = head, merge
        # An image of the largest size takes hundreds of megabytes while it is decoded: bound how many do at once.
        self._decoding = threading.BoundedSemaphore(decoders)

    def start_one(self, image: bytes) -> tuple[np.ndarray, Callable[[Deadline], Classified]]:
        """As `start`, and with it the one image that the network sees of `image`, uint8 [H, W, C].

        Raise what decoding raises, and ServiceError BAD_PARAMETER, before anything is queued, where the network sees
        it in tiles.
        """
        started = time.monotonic()
        tiles = self._tiles(image)
        if len(tiles) > 1:
            raise ServiceError(
                ErrorCode.BAD_PARAMETER,
                f"found {len(tiles)} tiles that this model looks at, needed a single one for heat_map: "
                "leave heat_map out, or send a part of the image",
            )
        return tiles[0], self._queue(tiles, time.monotonic() - started)

    def with_head(self, head: Head) -> "Classifier":
        """This one with another head: the same stages, and the same bound on what is decoded at once."""
        other = copy(self)
        other._head = head
        return other

    def start(self, image: bytes) -> Callable[[Deadline], Classified]:
        """Decode `image` now and queue it, all its tiles; the function returned waits for its answer.

        Raise what decoding raises; the function raises ServiceError DEADLINE and then takes the image out of the queue.
        """
        started = time.monotonic()
        tiles = self._tiles(image)
        return self._queue(tiles, time.monotonic() - started)

    def _queue(self, tiles: Sequence[np.ndarray], decode_s: float) -> Callable[[Deadline], Classified]:
        waiting = [self._submit(tile) for tile in tiles]

        def finish(deadline: Deadline) -> Classified:
            inferred = _results(waiting, deadline)
            queue_s = min(one.queue_s for one in inferred)
            inference_s = max(one.queue_s + one.inference_s for one in inferred) - queue_s
            self._observe(queue_s, decode_s, inference_s)
            logits = self._merge([self._head(one.logits) for one in inferred])
            return Classified(logits, queue_s, decode_s, inference_s)

        return finish

    def _tiles(self, image: bytes) -> Sequence[np.ndarray]:
        with self._decoding:
            return self._decode(image)


def _results(waiting: Sequence[Pending], deadline: Deadline) -> list[Inferred]:
    """The answers to all of `waiting`; when one fails or the deadline passes, the others leave the queue."""
    try:
        return [pending.result(timeout=deadline.left()) for pending in waiting]
    except TimeoutError as error:
        raise deadline.passed() from error
    finally:
        for pending in waiting:
            pending.cancel()

"""The path of one image: decode -> batch -> engine -> logits. It knows the order of the stages, not their insides."""

import threading
import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.pipeline.admission import Deadline
from worker.pipeline.batcher import InferenceResult, PendingInput

Merge = Callable[[Sequence[np.ndarray]], np.ndarray]  # the logits [classes] of every tile -> of the image
Observe = Callable[[float, float, float], None]  # one image's seconds: queue, decoding, inference
Head = Callable[[np.ndarray], np.ndarray]  # the network's output, float32 [..., D] -> logits [..., classes]


def identity(outputs: np.ndarray) -> np.ndarray:
    """Return `outputs`: the head of a network whose outputs are logits."""
    return outputs


def single_tile(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Return the logits of the only tile."""
    return logits[0]


@dataclass(frozen=True)
class Classification:
    """One image's float32 logits [classes] and its time in each stage, in seconds.

    With several tiles, the queue time ends when the first tile runs and the inference time when the last is done.
    """

    logits: np.ndarray
    queue_s: float
    decode_s: float
    inference_s: float


class Classifier:
    """Take the bytes of an image through the stages and measure each stage.

    `decode` returns an image's tiles, each uint8 [H, W, C]; `submit` queues one of them; at most `decoders` images
    are decoded at once.
    """

    def __init__(
        self,
        decode: Callable[[bytes], Sequence[np.ndarray]],
        submit: Callable[[np.ndarray], PendingInput],
        observe: Observe,
        decoders: int,
        head: Head = identity,
        merge: Merge = single_tile,
    ) -> None:
        self._decode, self._submit, self._observe = decode, submit, observe
        self._head, self._merge = head, merge
        # Decoding the largest permitted image takes hundreds of megabytes: bound how many are decoded at once.
        self._decoding = threading.BoundedSemaphore(decoders)

    def start_with_input(self, image: bytes) -> tuple[np.ndarray, Callable[[Deadline], Classification]]:
        """Do as `start` does; return the network's input for `image`, uint8 [H, W, C], as well.

        Raise what decoding raises, and ServiceError BAD_PARAMETER, before anything is queued, if the image has several
        tiles.
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
        """Return a copy with another head; it shares the stages and the bound on decoding."""
        other = copy(self)
        other._head = head
        return other

    def start(self, image: bytes) -> Callable[[Deadline], Classification]:
        """Decode `image`, queue all its tiles, and return a function that waits for the result.

        Raise what decoding raises. The function raises ServiceError DEADLINE after removing the tiles from the queue.
        """
        started = time.monotonic()
        tiles = self._tiles(image)
        return self._queue(tiles, time.monotonic() - started)

    def _queue(self, tiles: Sequence[np.ndarray], decode_s: float) -> Callable[[Deadline], Classification]:
        waiting = [self._submit(tile) for tile in tiles]

        def finish(deadline: Deadline) -> Classification:
            inferred = _results(waiting, deadline)
            queue_s = min(tile.queue_s for tile in inferred)
            inference_s = max(tile.queue_s + tile.inference_s for tile in inferred) - queue_s
            self._observe(queue_s, decode_s, inference_s)
            logits = self._merge([self._head(tile.logits) for tile in inferred])
            return Classification(logits, queue_s, decode_s, inference_s)

        return finish

    def _tiles(self, image: bytes) -> Sequence[np.ndarray]:
        with self._decoding:
            return self._decode(image)


def _results(waiting: Sequence[PendingInput], deadline: Deadline) -> list[InferenceResult]:
    """Return the results of all `waiting`; if one fails or the deadline passes, remove the others from the queue."""
    try:
        return [pending.result(timeout=deadline.left()) for pending in waiting]
    except TimeoutError as error:
        raise deadline.passed() from error
    finally:
        for pending in waiting:
            pending.cancel()

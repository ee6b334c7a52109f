"""The path of one image: decode -> batch -> engine -> logits. It knows the order of the stages, not their insides."""

import time
from collections.abc import Callable, Sequence
from copy import copy

import msgspec
import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.pipeline.admission import Deadline
from worker.pipeline.pending_input import InferenceResult, PendingInput
from worker.pipeline.running import Running
from worker.pipeline.turns import Turnstile

Submit = Callable[[np.ndarray, bool], PendingInput]  # queue an input; the flag says whether in the background
Merge = Callable[[Sequence[np.ndarray]], np.ndarray]  # the logits [classes] of every tile -> of the image
Observe = Callable[[float, float, float], None]  # one image's seconds: queue, decoding, inference
Head = Callable[[np.ndarray], np.ndarray]  # the network's output, float32 [..., D] -> logits [..., classes]


class OpenImage(msgspec.Struct, frozen=True):
    """An image whose header has been read, and how to decode its tiles, each uint8 [H, W, C].

    No others should wait for it if it is `large` or may wait for an `isolated` decoder.
    """

    large: bool
    tiles: Callable[[], Sequence[np.ndarray]]
    isolated: bool = False


Open = Callable[[bytes, Deadline], OpenImage]  # an image file -> its header


def identity(outputs: np.ndarray) -> np.ndarray:
    """Return `outputs`: the head of a network whose outputs are logits."""
    return outputs


def single_tile(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Return the logits of the only tile."""
    return logits[0]


class Classification(msgspec.Struct, frozen=True):
    """One image's float32 logits [classes] and its time in each stage, in seconds.

    With several tiles, the queue time ends when the first tile runs and the inference time when the last is done.
    """

    logits: np.ndarray
    queue_s: float
    decode_s: float
    inference_s: float


def result_of(pending: PendingInput, deadline: Deadline) -> InferenceResult:
    """Wait for the result; raise what the engine raised, or ServiceError as `deadline` does."""
    deadline.wait(pending.wait)
    return pending.result(0)


class Classifier:
    """Take the bytes of an image through the stages and measure each stage.

    At most `decoders` images are decoded at once, and as many isolated and one large one besides: no others wait for
    them. Decoding and queueing let ordinary work go before `background` work.
    """

    def __init__(
        self,
        open_image: Open,
        submit: Submit,
        observe: Observe,
        decoders: int,
        head: Head = identity,
        merge: Merge = single_tile,
        decodings: Running | None = None,
    ) -> None:
        self._open, self._submit, self._observe = open_image, submit, observe
        self._head, self._merge = head, merge
        self._decoders, self._isolated, self._large = Turnstile(decoders), Turnstile(decoders), Turnstile(1)
        self._decodings = decodings or Running()

    def with_head(self, head: Head) -> "Classifier":
        """Return a copy with another head; it shares the stages and the bound on decoding."""
        other = copy(self)
        other._head = head
        return other

    def start(self, image: bytes, deadline: Deadline, background: bool = False) -> "Started":
        """Decode `image` and queue all its tiles; return the image, to be waited for or cancelled.

        Raise what decoding raises, and ServiceError DEADLINE or CLIENT_GONE.
        """
        started = time.monotonic()
        tiles = self._tiles(image, deadline, background)
        return self._queue(tiles, time.monotonic() - started, background)

    def start_with_input(self, image: bytes, deadline: Deadline) -> "tuple[np.ndarray, Started]":
        """Do as `start` does in the background; return the network's input for `image`, uint8 [H, W, C], as well.

        Raise what `start` raises, and ServiceError BAD_PARAMETER, before anything is queued, if the image has several
        tiles.
        """
        started = time.monotonic()
        tiles = self._tiles(image, deadline, True)
        if len(tiles) > 1:
            raise ServiceError(
                ErrorCode.BAD_PARAMETER,
                f"found {len(tiles)} tiles that this model looks at, needed a single one for heat_map: "
                "leave heat_map out, or send a part of the image",
            )
        return tiles[0], self._queue(tiles, time.monotonic() - started, True)

    def _tiles(self, image: bytes, deadline: Deadline, background: bool) -> Sequence[np.ndarray]:
        deadline.check()
        # What streams an image or waits for memory or a process looks at its deadline; what is stuck does not.
        decoding = self._decodings.call(lambda: deadline.looks)
        with decoding:
            opened = self._open(image, deadline)
        turnstile = self._isolated if opened.isolated else self._large if opened.large else self._decoders
        with turnstile.place(deadline, background), decoding:
            tiles = opened.tiles()
        deadline.check()
        return tiles

    def _queue(self, tiles: Sequence[np.ndarray], decode_s: float, background: bool) -> "Started":
        background |= len(tiles) > 1  # the tiles of one image must not keep those of others waiting
        return Started([self._submit(tile, background) for tile in tiles], decode_s, self._finish)

    def _finish(self, inferred: Sequence[InferenceResult], decode_s: float) -> Classification:
        queue_s = min(tile.queue_s for tile in inferred)
        inference_s = max(tile.queue_s + tile.inference_s for tile in inferred) - queue_s
        self._observe(queue_s, decode_s, inference_s)
        logits = self._merge([self._head(tile.logits) for tile in inferred])
        return Classification(logits, queue_s, decode_s, inference_s)


class Started(msgspec.Struct, frozen=True):
    """An image whose tiles are queued or running."""

    tiles: Sequence[PendingInput]
    decode_s: float
    finish: Callable[[Sequence[InferenceResult], float], Classification]

    def result(self, deadline: Deadline) -> Classification:
        """Return the classification; if a tile fails or `deadline` ends the wait, cancel the others and raise why."""
        try:
            return self.finish([result_of(tile, deadline) for tile in self.tiles], self.decode_s)
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Remove the tiles that are still queued."""
        for tile in self.tiles:
            tile.cancel()

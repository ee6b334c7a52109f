"""Large images in overlapping tiles: which parts they are cut into, and how the answers are made one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.limits import MAX_TILES

Merge = Callable[[Sequence[np.ndarray]], np.ndarray]  # float32 logits [classes] of every tile -> of the image
# Of logits, so that the activation and all that follows stays what it is. Under a softmax their mean is that of the
# scores, multiplied instead of added; under a sigmoid, whose scores rise with the logits, their maximum is that of the
# scores.
MERGES: dict[str, Merge] = {
    "mean": lambda logits: np.stack(logits).mean(axis=0),
    "max": lambda logits: np.stack(logits).max(axis=0),
}


@dataclass(frozen=True)
class Tiles:
    """Tiles of `size` (height, width) in pixels of the image, one every `stride` (down, across)."""

    size: tuple[int, int]
    stride: tuple[int, int]
    merge: str

    def boxes(self, width: int, height: int) -> list[tuple[int, int, int, int]]:
        """(left, top, right, bottom) of each, row by row: together the whole image, the last ones moved to its edge.

        Where the image is smaller than a tile, so are they. Raises ServiceError for more than MAX_TILES.
        """
        count = _count(width, self.size[1], self.stride[1]) * _count(height, self.size[0], self.stride[0])
        if count > MAX_TILES:
            raise ServiceError(
                ErrorCode.TOO_MANY_TILES,
                f"found {width} x {height} pixels, {count} tiles of this model, needed at most {MAX_TILES} tiles: "
                "scale the image down",
            )
        return [
            (left, top, right, bottom)
            for top, bottom in _spans(height, self.size[0], self.stride[0])
            for left, right in _spans(width, self.size[1], self.stride[1])
        ]


def merged(tiles: Tiles | None, logits: Sequence[np.ndarray]) -> np.ndarray:
    """The logits [classes] of an image, of those of its tiles; without tiles there is one."""
    return logits[0] if tiles is None or len(logits) == 1 else MERGES[tiles.merge](logits)


def _count(full: int, size: int, stride: int) -> int:
    return 1 + max(0, math.ceil((full - size) / stride))


def _spans(full: int, size: int, stride: int) -> list[tuple[int, int]]:
    last = max(0, full - size)
    starts = [min(number * stride, last) for number in range(_count(full, size, stride))]
    return [(start, min(start + size, full)) for start in starts]

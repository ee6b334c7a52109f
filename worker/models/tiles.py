"""Cut large images into overlapping tiles, and merge the tiles' answers into one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.limits import MAX_TILES

Merge = Callable[[Sequence[np.ndarray]], np.ndarray]  # float32 logits [classes] of each tile -> of the image
# Logits are merged, so that the activation and all later steps are unchanged. Under a softmax, the mean of the logits
# gives the normalised geometric mean of the scores; a sigmoid is monotonic, so the maximum of the logits gives the
# maximum of the scores.
MERGES: dict[str, Merge] = {
    "mean": lambda logits: np.stack(logits).mean(axis=0),
    "max": lambda logits: np.stack(logits).max(axis=0),
}


@dataclass(frozen=True)
class Tiles:
    """Tiles of `size` (height, width), one every `stride` (down, across), both in pixels of the image."""

    size: tuple[int, int]
    stride: tuple[int, int]
    merge: str

    def boxes(self, width: int, height: int) -> list[tuple[int, int, int, int]]:
        """Return each tile's (left, top, right, bottom), row by row; together they cover the whole image.

        The last tile of a row or column is moved back to the image's edge; an image smaller than a tile gives a smaller
        tile. Raise ServiceError if there are more than MAX_TILES.
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
    """Return the logits [classes] of an image from the `logits` [classes] of each of its tiles, one without tiles."""
    return logits[0] if tiles is None or len(logits) == 1 else MERGES[tiles.merge](logits)


def _count(length: int, size: int, stride: int) -> int:
    return 1 + max(0, math.ceil((length - size) / stride))


def _spans(length: int, size: int, stride: int) -> list[tuple[int, int]]:
    last = max(0, length - size)
    starts = [min(number * stride, last) for number in range(_count(length, size, stride))]
    return [(start, min(start + size, length)) for start in starts]

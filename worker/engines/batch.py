"""What the engines share: pictures are copied once, into memory of a prepared batch size that is always the same."""

from collections.abc import Iterable, Sequence

import numpy as np

BYTE_RANGE = 255.0
Pictures = Sequence[np.ndarray] | np.ndarray  # each uint8 [H, W, C], or all as one array


def fitting(sizes: Iterable[int], pictures: Pictures) -> int:
    """The smallest of `sizes` that holds all `pictures`; raises ValueError when none does."""
    known = sorted(sizes)
    for size in known:
        if len(pictures) <= size:
            return size
    raise ValueError(f"{len(pictures)} pictures at once, the engine was prepared for {', '.join(map(str, known))}")


def fill(batch: np.ndarray, pictures: Pictures) -> None:
    """Copy `pictures`, each [H, W, C], to the first rows of `batch` [N, H, W, C]; the other rows stay."""
    for row, picture in zip(batch, pictures, strict=False):
        row[...] = picture

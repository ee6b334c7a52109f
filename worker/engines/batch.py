"""What the engines share: images are copied once, into memory of a prepared batch size that is always the same."""

from collections.abc import Iterable, Sequence

import numpy as np

BYTE_RANGE = 255.0
Inputs = Sequence[np.ndarray] | np.ndarray  # each uint8 [H, W, C], or all as one array


def fitting(sizes: Iterable[int], images: Inputs) -> int:
    """The smallest of `sizes` that holds all `images`; raises ValueError when none does."""
    known = sorted(sizes)
    for size in known:
        if len(images) <= size:
            return size
    raise ValueError(f"{len(images)} images at once, the engine was prepared for {', '.join(map(str, known))}")


def fill(batch: np.ndarray, images: Inputs) -> None:
    """Copy `images`, each [H, W, C], to the first rows of `batch` [N, H, W, C]; the other rows stay."""
    for row, image in zip(batch, images, strict=False):
        row[...] = image

"""Batches for all engines: images are copied once, into a buffer that each prepared batch size reuses."""

from collections.abc import Iterable, Sequence

import numpy as np

BYTE_RANGE = 255.0
Inputs = Sequence[np.ndarray] | np.ndarray  # each uint8 [H, W, C], or one array [N, H, W, C]


def fitting_size(sizes: Iterable[int], images: Inputs) -> int:
    """Return the smallest of `sizes` that holds all `images`; raise ValueError if none does."""
    ascending = sorted(sizes)
    for size in ascending:
        if len(images) <= size:
            return size
    raise ValueError(f"{len(images)} images at once, the engine was prepared for {', '.join(map(str, ascending))}")


def fill(batch: np.ndarray, images: Inputs) -> None:
    """Copy `images`, each [H, W, C], to the first rows of `batch` [N, H, W, C]; leave the other rows unchanged."""
    for row, image in zip(batch, images, strict=False):
        row[...] = image

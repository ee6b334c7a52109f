"""Other views of an image, from which more can be learned: mirrored, and cut out. Pure.

They are made of the pixels that a network takes, so that an image is decoded once.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

SHARE = 0.8  # of an image's sides in what is cut out
MAX_LOOKS = 960  # images times views up to which there are further views: two cores take some 9 ms for each


def _mirrored(pixels: np.ndarray) -> np.ndarray:
    return pixels[:, ::-1]


def _cut_out(pixels: np.ndarray, at_end: bool) -> np.ndarray:
    """Return one corner, or the opposite one, in the size of the whole."""
    height, width, channels = pixels.shape
    rows, columns = round(height * SHARE), round(width * SHARE)
    part = pixels[-rows:, -columns:] if at_end else pixels[:rows, :columns]
    resized = [
        np.asarray(Image.fromarray(part[:, :, channel]).resize((width, height), Image.Resampling.BILINEAR))
        for channel in range(channels)
    ]
    return np.stack(resized, axis=2)


VIEWS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda pixels: pixels,
    _mirrored,
    lambda pixels: _mirrored(_cut_out(pixels, True)),
    lambda pixels: _cut_out(pixels, False),
)


def views(pixels: np.ndarray, count: int) -> list[np.ndarray]:
    """Return `count` views of `pixels`, uint8 [H, W, C]; the first is the image as it is."""
    return [np.ascontiguousarray(view(pixels)) for view in VIEWS[:count]]


def affordable(images: int) -> int:
    """Return of how many views so many images are learned."""
    return max(1, min(MAX_LOOKS // max(images, 1), len(VIEWS)))

"""Where a network looks: what its answer loses when a part of the image is covered.

The method is the occlusion of Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014),
section 4.2. It needs nothing but answers, so that every network on every engine has a map.
"""

import io
from collections.abc import Iterator
from itertools import product

import numpy as np
from PIL import Image

# 7 x 7 places, as fine as the last layer of a ResNet at 224 pixels; a covering patch is large enough (1/16 of the
# image) to hide what a class is told by, and overlaps its neighbours, so that every cell is judged by up to four.
GRID, PATCH = 8, 2  # cells a side
PLACES = GRID - PATCH + 1
INFERENCES = PLACES**2
GLOW = np.array([[255, 214, 64], [240, 90, 30], [190, 0, 60]])  # from little heat to most
OPACITY = 0.8
RED, GREEN, BLUE = 0.299, 0.587, 0.114  # ITU-R BT.601: how bright each is to the eye


def occlusions(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """uint8 [H, W, C] `pixels` with a patch covered by their mean colour, at each of INFERENCES places, row by row."""
    rows, columns = (np.linspace(0, side, GRID + 1).round().astype(int) for side in pixels.shape[:2])
    colour = pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    for row, column in product(range(PLACES), repeat=2):
        covered = pixels.copy()
        covered[rows[row] : rows[row + PATCH], columns[column] : columns[column + PATCH]] = colour
        yield covered


def evidence(logits: np.ndarray, index: int, rivals: np.ndarray) -> np.ndarray:
    """How much `logits` [..., classes] speak for class `index` against its `rivals`: [...], rising with its score.

    Against the rivals of a softmax these are the log odds, which do not flatten where the score comes near 1.
    """
    if not len(rivals):
        return logits[..., index]
    others = logits[..., rivals]
    most = others.max(axis=-1)
    return logits[..., index] - most - np.log(np.exp(others - most[..., None]).sum(axis=-1))


def heat(losses: np.ndarray) -> np.ndarray:
    """float [GRID, GRID], 0 to 1: the mean of the `losses` [INFERENCES] of the patches over each cell, gains as 0."""
    total, patches = np.zeros((2, GRID, GRID))
    for row, column in product(range(PATCH), repeat=2):
        cells = np.s_[row : row + PLACES, column : column + PLACES]
        total[cells] += losses.reshape(PLACES, PLACES)
        patches[cells] += 1
    warm = np.clip(total / patches, 0, None)
    return warm / (warm.max() or 1)


def draw(pixels: np.ndarray, heat_map: np.ndarray) -> bytes:
    """A PNG of uint8 [H, W, C] `pixels` in grey, so that all colour is the glow of float [GRID, GRID] `heat_map`."""
    height, width = pixels.shape[:2]
    cells = Image.fromarray(heat_map.astype(np.float32))
    warm = np.clip(np.asarray(cells.resize((width, height), Image.Resampling.BICUBIC)), 0, 1)[..., None]
    colours = np.concatenate([np.interp(warm, np.linspace(0, 1, len(GLOW)), channel) for channel in GLOW.T], axis=-1)
    blended = _grey(pixels) * (1 - OPACITY * warm) + colours * OPACITY * warm
    stream = io.BytesIO()
    Image.fromarray(blended.round().astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Brightness, float [H, W, 1]: of images that are not RGB the first channel's."""
    if pixels.shape[-1] != 3:
        return pixels[..., :1].astype(float)
    return (pixels @ np.array([RED, GREEN, BLUE]))[..., None]

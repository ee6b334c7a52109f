"""Heat maps by occlusion: how much a class's score drops when a part of the image is covered.

The method is that of Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014), section 4.2.
It needs only the network's outputs, so that it works with every network and every engine.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from PIL import Image

# 7 x 7 positions, as fine as the last layer of a ResNet at 224 pixels. A patch, 1/16 of the image, is large enough to
# hide what identifies a class, and overlaps its neighbours, so that every cell lies under up to four patches.
GRID, PATCH = 8, 2  # cells per side
POSITIONS = GRID - PATCH + 1
INFERENCES = POSITIONS**2
COLOURS = np.array([[255, 214, 64], [240, 90, 30], [190, 0, 60]])  # from least to most heat
OPACITY = 0.8
LUMA = np.array([0.299, 0.587, 0.114])  # weights of red, green and blue, ITU-R BT.601


@dataclass(frozen=True)
class HeatMap:
    """The heat of each cell, float [GRID, GRID] from 0 to 1, over the network's input `pixels`, uint8 [H, W, C]."""

    pixels: np.ndarray
    cells: np.ndarray

    def png(self) -> bytes:
        """Return the input in grey, coloured by its heat."""
        return draw(self.pixels, self.cells)

    def rows(self) -> list[list[float]]:
        """Return the heat of each cell, row by row, with three decimals."""
        return [[round(float(value), 3) for value in row] for row in self.cells]


def occlusions(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield INFERENCES copies of uint8 [H, W, C] `pixels`, row by row, each with one patch in the mean colour."""
    rows, columns = (np.linspace(0, side, GRID + 1).round().astype(int) for side in pixels.shape[:2])
    colour = pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    for row, column in product(range(POSITIONS), repeat=2):
        covered = pixels.copy()
        covered[rows[row] : rows[row + PATCH], columns[column] : columns[column + PATCH]] = colour
        yield covered


def evidence(logits: np.ndarray, index: int, rivals: np.ndarray) -> np.ndarray:
    """Return the evidence [...] in `logits` [..., classes] for class `index` against the classes `rivals`.

    It rises with the score. Against the rivals of a softmax it is the log odds, which do not saturate as the score
    approaches 1; without rivals, as for sigmoid, it is the logit.
    """
    if not len(rivals):
        return logits[..., index]
    others = logits[..., rivals]
    largest = others.max(axis=-1)
    return logits[..., index] - largest - np.log(np.exp(others - largest[..., None]).sum(axis=-1))


def heat(losses: np.ndarray) -> np.ndarray:
    """Return the heat, float [GRID, GRID] from 0 to 1: the mean loss of the patches over each cell; a gain is 0.

    `losses` [INFERENCES] is the evidence lost under each patch.
    """
    total, patches = np.zeros((2, GRID, GRID))
    for row, column in product(range(PATCH), repeat=2):
        cells = np.s_[row : row + POSITIONS, column : column + POSITIONS]
        total[cells] += losses.reshape(POSITIONS, POSITIONS)
        patches[cells] += 1
    mean = np.clip(total / patches, 0, None)
    return mean / (mean.max() or 1)


def draw(pixels: np.ndarray, heat_map: np.ndarray) -> bytes:
    """Return a PNG of uint8 [H, W, C] `pixels` in grey, coloured by float [GRID, GRID] `heat_map`."""
    height, width = pixels.shape[:2]
    cells = Image.fromarray(heat_map.astype(np.float32))
    smooth = np.clip(np.asarray(cells.resize((width, height), Image.Resampling.BICUBIC)), 0, 1)[..., None]
    stops = np.linspace(0, 1, len(COLOURS))
    colours = np.concatenate([np.interp(smooth, stops, channel) for channel in COLOURS.T], axis=-1)
    blended = _grey(pixels) * (1 - OPACITY * smooth) + colours * OPACITY * smooth
    stream = io.BytesIO()
    Image.fromarray(blended.round().astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Return the brightness, float [H, W, 1]; for images that are not RGB, the first channel."""
    if pixels.shape[-1] != 3:
        return pixels[..., :1].astype(float)
    return (pixels @ LUMA)[..., None]

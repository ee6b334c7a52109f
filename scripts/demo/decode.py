"""What the demo's network sees of a picture: serving's own decode, at the network's size."""

import numpy as np

from worker.decode import Geometry
from worker.decode import decode as serving_decode

SIZE = 96  # pixels a side that the network takes
RESIZE = 96  # shorter side before the centre crop
INTERPOLATION = "bilinear"
MEAN = (0.5, 0.5, 0.5)  # of 0..1 values, RGB
STD = (0.25, 0.25, 0.25)
GEOMETRY = Geometry(size=(SIZE, SIZE), resize=RESIZE, interpolation=INTERPOLATION)
MOST_PIXELS = 1_000_000  # more than any picture rendered here


def decode(jpeg: bytes) -> np.ndarray:
    """uint8 [SIZE, SIZE, 3], RGB."""
    return serving_decode(jpeg, GEOMETRY, MOST_PIXELS)

"""A decoded image, before it is brought to a network's size."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from worker.decode.geometry import Geometry
from worker.decode.scale import scaled
from worker.decode.turn import UPRIGHT, Turn


@dataclass(frozen=True)
class DecodedImage:
    """The bands that a network takes, in one image or several of 8 bits a band, and how they are turned upright."""

    bands: tuple[Image.Image, ...]
    turn: Turn = UPRIGHT

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, upright."""
        return self.turn.size(*self.bands[0].size)

    def scaled(self, geometry: Geometry) -> np.ndarray:
        """What the network sees: uint8 [height, width, channels]."""
        small = [scaled(band, geometry, self.turn) for band in self.bands]
        if len(small) > 1:
            return np.stack([np.asarray(band) for band in small], axis=-1)
        pixels = np.asarray(small[0])
        return pixels if pixels.ndim > 2 else pixels[..., np.newaxis]

    def upright(self) -> "DecodedImage":
        return DecodedImage(tuple(self.turn.upright(band) for band in self.bands))

    def part(self, box: tuple[int, int, int, int]) -> "DecodedImage":
        """What lies in `box`, (left, top, right, bottom) in pixels of this image, which must be upright."""
        return DecodedImage(tuple(band.crop(box) for band in self.bands))

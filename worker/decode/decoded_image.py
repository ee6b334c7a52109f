"""A decoded image before it is scaled to a network's input size."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from worker.decode.geometry import Geometry
from worker.decode.orientation import UPRIGHT, Orientation
from worker.decode.scale import scaled


@dataclass(frozen=True)
class DecodedImage:
    """The bands that a network takes, and the orientation that they are stored in.

    The bands are one or several images of 8 bits per band.
    """

    bands: tuple[Image.Image, ...]
    orientation: Orientation = UPRIGHT

    @property
    def size(self) -> tuple[int, int]:
        """Return the upright image's (width, height) in pixels."""
        return self.orientation.size(*self.bands[0].size)

    def scaled(self, geometry: Geometry) -> np.ndarray:
        """Return the image as the network sees it, uint8 [height, width, channels]."""
        small = [scaled(band, geometry, self.orientation) for band in self.bands]
        if len(small) > 1:
            return np.stack([np.asarray(band) for band in small], axis=-1)
        pixels = np.asarray(small[0])
        return pixels if pixels.ndim > 2 else pixels[..., np.newaxis]

    def upright(self) -> "DecodedImage":
        return DecodedImage(tuple(self.orientation.upright(band) for band in self.bands))

    def part(self, box: tuple[int, int, int, int]) -> "DecodedImage":
        """Return the part in `box`, (left, top, right, bottom) in pixels; this image must be upright."""
        return DecodedImage(tuple(band.crop(box) for band in self.bands))

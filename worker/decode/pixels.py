"""The pixels that a network takes, and how a decoded image's bands become them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from worker.contract.errors import ErrorCode, ServiceError

GREY, RGB = 1, 3  # channels
WHITE = (255, 255, 255)
BANDS = ("L", "LA", "RGB", "RGBA")  # modes whose bands need no conversion
ROWS = 256  # of a high-bit-depth image, converted to 8 bits at a time

Range = tuple[float, float]


@dataclass(frozen=True)
class Pixels:
    """The channels that a network takes: grey (1), RGB (3), or an image's bands in their order (any other number).

    `range` gives the stored values of high-bit-depth images (16 bits and more, floats) that become 0 and 255; None
    means the range of their type. `background` is the RGB colour behind transparency, unless alpha is a band itself.
    """

    channels: int = RGB
    range: Range | None = None
    background: tuple[int, int, int] = WHITE

    @property
    def banded(self) -> bool:
        return self.channels not in (GREY, RGB)


COLOUR = Pixels()  # what most networks take


def from_image(image: Image.Image, wanted: Pixels) -> tuple[Image.Image, ...]:
    """Return `image` as `wanted`, in images of 8 bits per band; raise ServiceError if it has too few bands."""
    if wanted.banded:
        plain = image if image.mode in BANDS else image.convert("RGBA" if image.has_transparency_data else "RGB")
        return chosen(plain.split(), wanted)
    mode = "L" if wanted.channels == GREY else "RGB"
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (*wanted.background, 255)), rgba)
    return (image if image.mode == mode else image.convert(mode),)


def from_values(values: np.ndarray, wanted: Pixels) -> tuple[Image.Image, ...]:
    """Return the bands of `values` [H, W, bands] as images of 8 bits; raise ServiceError if there are too few."""
    bands = [Image.fromarray(eight_bit(values[..., band], wanted.range)) for band in range(values.shape[-1])]
    return chosen(bands, wanted)


def eight_bit(values: np.ndarray, given: Range | None) -> np.ndarray:
    """Return `values` of any type as uint8 of the same shape: the `given` range, or their type's, becomes 0 to 255.

    The range of floats is 0 to 1, or 0 to 255 if any value is larger than 1. uint8 values are returned unchanged.
    """
    if values.dtype == np.uint8:
        return values
    black, white = given or _own_range(values)
    result = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), ROWS):
        part = np.nan_to_num(values[row : row + ROWS].astype(np.float64), nan=black, posinf=white, neginf=black)
        result[row : row + ROWS] = np.clip(np.rint((part - black) * (255 / (white - black))), 0, 255)
    return result


def _own_range(values: np.ndarray) -> Range:
    if values.dtype == bool:
        return 0, 1
    if values.dtype.kind == "f":
        return 0, 1 if np.max(values, initial=0, where=np.isfinite(values)) <= 1 else 255
    limits = np.iinfo(values.dtype)
    return limits.min, limits.max


def chosen(bands: Sequence[Image.Image], wanted: Pixels) -> tuple[Image.Image, ...]:
    """Return the first of `bands`, as many as `wanted`; raise ServiceError if there are too few."""
    if len(bands) < wanted.channels:
        has = "1 band" if len(bands) == 1 else f"{len(bands)} bands"
        raise ServiceError(
            ErrorCode.TOO_FEW_BANDS,
            f"found an image of {has}, needed {wanted.channels} for this model: send one with all of them",
        )
    return tuple(bands[: wanted.channels])

"""The pixels that a network takes, and how a decoded image's bands become them."""

from dataclasses import dataclass

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError

GREY, RGB = 1, 3  # channels
WHITE = (255, 255, 255)
CUT_SHORT = "it ends before its last pixel"  # why an image cannot be decoded
ROWS = 256  # of a high-bit-depth image, converted to 8 bits at a time

Range = tuple[float, float]
Colour = tuple[int, int, int]  # red, green and blue


@dataclass(frozen=True)
class Pixels:
    """The channels that a network takes: grey (1), RGB (3), or an image's bands in their order (any other number).

    `range` gives the stored values of high-bit-depth images (16 bits and more, floats) that become 0 and 255; None
    means the range of their type. `background` is the RGB colour behind transparency, unless alpha is a band itself;
    None leaves transparency out, as Pillow's convert("RGB") does: the colours are seen that lie under it.
    """

    channels: int = RGB
    range: Range | None = None
    background: Colour | None = WHITE

    @property
    def banded(self) -> bool:
        return self.channels not in (GREY, RGB)


COLOUR = Pixels()  # what most networks take


def eight_bit(values: np.ndarray, value_range: Range | None) -> np.ndarray:
    """Return `values` of any type as uint8 of the same shape: `value_range`, or their type's, becomes 0 to 255.

    The range of floats is 0 to 1, or 0 to 255 if any value is larger than 1. uint8 values are returned unchanged.
    """
    if values.dtype == np.uint8:
        return values
    black, white = value_range or own_range(values)
    result = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), ROWS):
        part = np.nan_to_num(values[row : row + ROWS].astype(np.float64), nan=black, posinf=white, neginf=black)
        result[row : row + ROWS] = np.clip(np.rint((part - black) * (255 / (white - black))), 0, 255)
    return result


def own_range(values: np.ndarray) -> Range:
    """Return the range of the values' type; that of floats depends on the values."""
    if values.dtype.kind == "f":
        return 0, 1 if np.max(values, initial=0, where=np.isfinite(values)) <= 1 else 255
    limits = np.iinfo(values.dtype)
    return int(limits.min), int(limits.max)


def require_bands(found: int, pixels: Pixels) -> None:
    """Raise ServiceError if an image of `found` bands has fewer than `pixels` takes in their order."""
    if pixels.banded and found < pixels.channels:
        has = "1 band" if found == 1 else f"{found} bands"
        raise ServiceError(
            ErrorCode.TOO_FEW_BANDS,
            f"found an image of {has}, needed {pixels.channels} for this model: send one with all of them",
        )

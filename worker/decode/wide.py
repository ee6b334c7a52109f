"""Images of more than 8 bits per band, as Pillow opens them."""

import io

import numpy as np
from PIL import Image, ImageFile

from worker.decode.pixels import Range, eight_bit

USUAL = (0.0, 65535.0)  # range of the integers that Pillow holds in 32 bits, whatever their depth in the file
# 16-bit PNGs, of which Pillow unpacks only the upper bytes: the raw modes that unpack both bytes, and the mode.
DEEP = {
    "RGB;16B": (("RGB;16B", "RGB;16L"), "RGB"),
    "RGBA;16B": (("RGBA;16B", "RGBA;16L"), "RGBA"),
    "LA;16B": (("RGBA",), "LA"),
}


def is_wide(image: Image.Image) -> bool:
    """Return whether the values of `image` have more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def narrowed(image: Image.Image, given: Range | None) -> Image.Image:
    """Return the high-bit-depth grey `image` in 8 bits, scaled by the `given` range of its values or by their own."""
    return Image.fromarray(eight_bit(np.asarray(image), USUAL if image.mode == "I" and not given else given))


def deep_colours(data: bytes, given: Range) -> Image.Image | None:
    """Return the PNG `data` in 8 bits per band, its colours scaled by the `given` range; None if it is not in DEEP."""
    kind = _packing(_opened(data))
    if kind not in DEEP:
        return None
    packings, mode = DEEP[kind]
    halves = [np.asarray(_unpacked(data, packing)) for packing in packings]
    upper, lower = halves if len(halves) > 1 else (halves[0][..., ::2], halves[0][..., 1::2])
    colours = len(mode.removesuffix("A"))
    values = (upper.astype(np.uint16) << 8 | lower)[..., :colours]
    return Image.fromarray(np.concatenate([eight_bit(values, given), upper[..., colours:]], axis=-1), mode)


def _opened(data: bytes) -> ImageFile.ImageFile:
    return Image.open(io.BytesIO(data), formats=["PNG"])


def _packing(image: ImageFile.ImageFile) -> str:
    return str(image.tile[0].args) if image.tile else ""


def _unpacked(data: bytes, packing: str) -> ImageFile.ImageFile:
    image = _opened(data)
    image.tile = [tile._replace(args=packing) for tile in image.tile]
    image.load()
    return image

"""From any decoded image to 8 bits per band, in the colours that a network takes, as one stream of rows."""

import numpy as np

from worker.decode import vips
from worker.decode.pixels import RGB, Pixels, eight_bit, require_bands

BYTE = 255
STREAMED = {"uchar": 1, "char": 1, "ushort": 2, "short": 2, "uint": 4, "int": 4}  # bytes of the integer types
INTEGER_RANGES = {name: np.iinfo(vips.DTYPES[name]) for name in STREAMED}
COLOURS = ("srgb", "rgb", "rgb16", "scrgb")  # a TIFF of floats is scaled as others are, and not taken as linear light
UNNAMED = ("multiband", "matrix", "b-w", "grey16")  # interpretations that name no colours


def select(image: vips.Image, pixels: Pixels, alpha: bool, unpremultiply: bool = False) -> vips.Image:
    """Return `image` in 8 bits per band: grey or RGB without alpha, or the first bands if `pixels` takes any others.

    `alpha` says whether the band after the colours is transparency, `unpremultiply` whether they are already multiplied
    by it. An RGB network sees the first three of bands that are not declared as colours. Raise ServiceError
    TOO_FEW_BANDS.
    """
    require_bands(image.bands, pixels)
    if pixels.banded:
        return to_bytes(image.extract_band(0, n=pixels.channels), pixels)
    if image.interpretation == "cmyk":
        return _without_ink(image)
    if image.interpretation not in (*COLOURS, *UNNAMED):
        image = image.colourspace("srgb")
    count = _colour_bands(image, pixels, alpha)
    colours = to_bytes(image.extract_band(0, n=count), pixels)
    if not alpha or image.bands == count or (pixels.background is None and not unpremultiply):
        return colours
    transparency = to_bytes(image.extract_band(count), Pixels())
    joined = colours.bandjoin(transparency).copy(interpretation="srgb" if count == RGB else "b-w")
    if unpremultiply:
        joined = joined.unpremultiply().rint().cast("uchar")
    if pixels.background is None:
        return joined[0] if count != RGB else joined.extract_band(0, n=RGB)
    if count != RGB:  # the background may have a colour
        joined = joined[0].bandjoin([joined[0], joined[0], joined[1]]).copy(interpretation="srgb")
    return joined.flatten(background=list(pixels.background))


def to_bytes(image: vips.Image, pixels: Pixels) -> vips.Image:
    """Return `image` as bytes: the range of `pixels`, or that of the type, becomes 0 to 255.

    Integers stay a stream. Floats are computed as a whole, since the range of their type depends on all of them.
    """
    if image.format == "uchar":
        return image
    if image.format not in STREAMED:
        return vips.from_array(eight_bit(vips.to_array(image), pixels.range))
    limits = INTEGER_RANGES[image.format]
    black, white = pixels.range or (int(limits.min), int(limits.max))
    scale = BYTE / (white - black)
    # float holds 24 bits of a whole number.
    wide = image.cast("double" if STREAMED[image.format] > 2 else "float")
    return wide.linear([scale], [-black * scale]).rint().cast("uchar")


def bytes_a_pixel(image: vips.Image) -> int:
    """Return the bytes that `to_bytes` holds for every pixel while the image is a stream; 0 if it stays one."""
    if image.format in STREAMED:
        return 0
    return image.bands * (np.dtype(vips.DTYPES[image.format]).itemsize + 1)


def _colour_bands(image: vips.Image, pixels: Pixels, alpha: bool) -> int:
    """Return how many of the first bands are colours."""
    undeclared = pixels.channels == RGB and not alpha
    return RGB if image.bands >= RGB and (undeclared or image.interpretation in COLOURS) else 1


def _without_ink(image: vips.Image) -> vips.Image:
    """Return the RGB of CMYK `image` as ideal inks would show it, as Pillow computes it, too."""
    light = to_bytes(image, Pixels()).invert()
    product = light.extract_band(0, n=RGB) * light.extract_band(RGB)
    return (product / BYTE).rint().cast("uchar").copy(interpretation="srgb")

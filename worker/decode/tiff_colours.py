"""The values of a TIFF as tifffile reads them, as bands of the colours that they stand for."""

import numpy as np
from PIL import Image
from tifffile import COMPRESSION, PHOTOMETRIC, TiffPage

from worker.decode import vips
from worker.decode.pixels import RGB, Pixels, Range, eight_bit
from worker.decode.tiff_parts import unsupported

BYTE = 8  # bits
BLACK = 255  # where white is 0
COLOUR_JPEGS = (COMPRESSION.JPEG, COMPRESSION.JPEG_LOSSY, COMPRESSION.ALT_JPEG)  # decoded to RGB
LABS = (PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB)
SERVED = (
    *LABS, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.PALETTE, PHOTOMETRIC.MASK,
    PHOTOMETRIC.SEPARATED, PHOTOMETRIC.YCBCR, PHOTOMETRIC.CFA, PHOTOMETRIC.LINEAR_RAW,
)  # fmt: skip
INTERPRETATIONS = {PHOTOMETRIC.SEPARATED: "cmyk", PHOTOMETRIC.RGB: "rgb", PHOTOMETRIC.YCBCR: "rgb"}


def require_served(page: TiffPage) -> None:
    """Raise ServiceError UNSUPPORTED_COMPRESSION if the samples stand for no colours that are served."""
    if page.dtype is None or page.dtype.kind == "c":
        raise unsupported(f"of samples of {page.bitspersample} bits in format {int(page.sampleformat)}")
    photometric = _photometric(page)
    if photometric not in SERVED:
        raise unsupported(f"of the colour space {getattr(page.photometric, 'name', photometric)}")
    if photometric == PHOTOMETRIC.YCBCR and page.compression not in COLOUR_JPEGS:
        if page.bitspersample != BYTE:
            raise unsupported(f"of YCbCr colours of {page.bitspersample} bits")
        if page.subsampling not in (None, (1, 1)):
            raise unsupported("of subsampled YCbCr colours in this compression")


def coloured(page: TiffPage, values: np.ndarray, pixels: Pixels) -> vips.Image:
    """Return `values` [H, W, bands] as an image; a network of many bands sees them as they are."""
    photometric = _photometric(page)
    if not pixels.banded:
        if photometric in LABS and values.shape[-1] >= RGB:
            return vips.from_array(_lab(values, photometric)).copy(interpretation="lab")
        if photometric == PHOTOMETRIC.PALETTE:
            values = _palette(page)[values[..., 0]]
        elif photometric == PHOTOMETRIC.YCBCR and page.compression not in COLOUR_JPEGS:
            values = np.asarray(Image.fromarray(np.ascontiguousarray(values[..., :RGB]), "YCbCr").convert("RGB"))
    fewer_bits = own_range(page, values)
    if fewer_bits and values.dtype.itemsize == 1:  # bytes are complete to eight_bit
        values = eight_bit(values.astype(np.int16), fewer_bits)
    if photometric in (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MASK):
        values = BLACK - eight_bit(values, pixels.range or fewer_bits)
    elif values.dtype.type not in vips.FORMATS or fewer_bits:  # floats of 16 bits, integers of 64 or 12
        values = eight_bit(values, pixels.range or fewer_bits)
    return vips.from_array(values).copy(interpretation=_interpretation(photometric, values))


def _photometric(page: TiffPage) -> int:
    """Return the meaning of the samples; tifffile takes white for 0 where the tag is missing, as few writers mean."""
    return int(page.tags.valueof("PhotometricInterpretation", PHOTOMETRIC.MINISBLACK))


def own_range(page: TiffPage, values: np.ndarray) -> Range | None:
    """Return the range of integers that have fewer bits in the file than in memory; None for all others."""
    bits = page.bitspersample
    if values.dtype.kind == "b":
        return 0, 1
    if values.dtype.kind not in "ui" or page.dtype is None or values.dtype != page.dtype:
        return None
    if bits == values.dtype.itemsize * BYTE:
        return None
    return (0, 2**bits - 1) if values.dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _interpretation(photometric: int, values: np.ndarray) -> str:
    bands = values.shape[-1]
    if photometric == PHOTOMETRIC.PALETTE and bands == RGB:
        return "srgb"
    name = INTERPRETATIONS.get(PHOTOMETRIC(photometric), "multiband" if bands > 1 else "b-w")
    if name == "rgb":
        return "rgb16" if values.dtype.itemsize > 1 else "srgb"
    return name


def _palette(page: TiffPage) -> np.ndarray:
    """Return the palette as uint8 [colours, 3]; some writers fill only the lower byte of its 16 bits."""
    palette = np.moveaxis(np.asarray(page.colormap), 0, -1)
    return (palette >> BYTE if palette.max() > BLACK else palette).astype(np.uint8)


def _lab(values: np.ndarray, photometric: int) -> np.ndarray:
    """Return L from 0 to 100 and a, b from -128 to 127: CIELAB stores them with a sign, ICCLAB from 0 on."""
    step = 1 << BYTE * (values.dtype.itemsize - 1)
    light = values[..., :1].astype(np.float32) * (100 / np.iinfo(values.dtype).max)
    colours = values[..., 1:RGB]
    if photometric == PHOTOMETRIC.CIELAB:
        shifted = colours.view(f"i{values.dtype.itemsize}").astype(np.float32) / step
    else:
        shifted = colours.astype(np.float32) / step - 128
    return np.concatenate([light, shifted], axis=-1)

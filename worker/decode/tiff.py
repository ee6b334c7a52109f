"""TIFFs that Pillow has no mode for: any number of bands, of any number of bits, integers or floats."""

import io
import logging
import math
import zlib

import numpy as np
import tifffile
from PIL import Image
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, PREDICTOR, TiffPage

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode.decoded_image import DecodedImage
from worker.decode.pixels import RGB, Pixels, eight_bit, from_image, from_values
from worker.decode.turn import ORIENTATION_TAG, TURNS, UPRIGHT

DEFLATE = (COMPRESSION.DEFLATE, COMPRESSION.ADOBE_DEFLATE)
READABLE = (COMPRESSION.NONE, *DEFLATE)  # the others need more than tifffile alone
PLAIN = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.RGB)
ALPHAS: dict[int, str] = {EXTRASAMPLE.UNASSALPHA: "A", EXTRASAMPLE.ASSOCALPHA: "a"}  # the end of Pillow's modes
BYTE = 8  # bits
GREY_ALPHA, RGBA = 2, 4  # bands

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it tells of odd metadata; the log is for what failed


def decoded(data: bytes, wanted: Pixels, max_pixels: int) -> DecodedImage | None:
    """The first page as is wanted; None for what is Pillow's to read or to judge.

    Raise ServiceError, and whatever a damaged file provokes.
    """
    try:
        page = tifffile.TiffFile(io.BytesIO(data)).pages.first
        theirs = _is_pillows(page, wanted)
    except Exception:  # a damaged header
        return None
    if theirs:
        return None
    _refuse_unreadable(page)
    _refuse_too_much(page, data, max(wanted.channels, RGBA) * max_pixels)
    values = page.asarray(maxworkers=1)
    values = np.moveaxis(values, page.axes.index("S"), -1) if "S" in page.axes else values[..., np.newaxis]
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        values = 255 - eight_bit(values, wanted.range)
    bands = from_values(values, wanted) if wanted.banded else from_image(_coloured(values, page, wanted), wanted)
    tag = page.tags.get(ORIENTATION_TAG)
    return DecodedImage(bands, TURNS.get(tag.value if tag else 1, UPRIGHT))


def _is_pillows(page: TiffPage, wanted: Pixels) -> bool:
    if page.photometric not in PLAIN:  # palettes, inks and the like have their colours worked out there
        return True
    usual = page.samplesperpixel <= (RGBA if page.photometric == PHOTOMETRIC.RGB else GREY_ALPHA)
    if page.bitspersample <= BYTE and usual and not wanted.banded:
        return True
    return page.samplesperpixel == 1 and page.compression not in READABLE


def _refuse_unreadable(page: TiffPage) -> None:
    if page.compression not in READABLE or page.predictor not in (PREDICTOR.NONE, PREDICTOR.HORIZONTAL):
        name = getattr(page.compression, "name", page.compression)
        how = "a floating point predictor" if page.compression in READABLE else name
        raise ServiceError(
            ErrorCode.UNSUPPORTED_COMPRESSION,
            f"found a TIFF of {page.samplesperpixel} bands of {page.bitspersample} bits compressed by {how}, "
            "needed Deflate or none: save it so",
        )


def _refuse_too_much(page: TiffPage, data: bytes, most: int) -> None:
    """Raise ServiceError where more than `most` values would be read, ValueError where the file has not all of them."""
    if (values := page.imagewidth * page.imagelength * page.imagedepth * page.samplesperpixel) > most:
        shape = f"{page.imagewidth} x {page.imagelength} pixels of {page.samplesperpixel} bands"
        raise ServiceError(
            ErrorCode.TOO_MANY_PIXELS,
            f"found {shape}, {values} values, needed at most {most} values: scale the image down",
        )
    if (share := math.prod(page.chunks)) > most:
        raise ValueError(f"a part of it has {share} values, more than the {most} served")
    share *= -(-page.bitspersample // BYTE)
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if not count or start + count > len(data):
            raise ValueError("it ends before its last pixel")
        packed = data[start : start + count]
        if page.compression in DEFLATE and len(zlib.decompressobj().decompress(packed, share + 1)) > share:
            raise ValueError("a part of it unpacks to more than it holds")


def _coloured(values: np.ndarray, page: TiffPage, wanted: Pixels) -> Image.Image:
    """`values` [H, W, bands] as an image of 8 bits a band: RGB or grey, and alpha where the page says it comes next.

    Bands that are no colours are taken in their order, where RGB is wanted and there are enough.
    """
    alpha = ALPHAS.get(page.extrasamples[0], "") if page.extrasamples else ""
    named = page.photometric == PHOTOMETRIC.RGB
    colours = "RGB" if named or (wanted.channels == RGB and values.shape[-1] >= RGB and not alpha) else "L"
    parts = [eight_bit(values[..., : len(colours)], wanted.range)]
    if alpha:
        parts.append(eight_bit(values[..., len(colours) : len(colours) + 1], None))
    whole = np.concatenate(parts, axis=-1)
    image = Image.fromarray(whole if whole.shape[-1] > 1 else whole[..., 0], colours + alpha)
    return image.convert(colours + "A") if alpha == "a" else image

"""Decode TIFFs that Pillow has no mode for: any number of bands and bits, integers or floats."""

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
READABLE = (COMPRESSION.NONE, *DEFLATE)  # others need more than tifffile alone
PLAIN = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.RGB)
ALPHAS: dict[int, str] = {EXTRASAMPLE.UNASSALPHA: "A", EXTRASAMPLE.ASSOCALPHA: "a"}  # the suffix of Pillow's modes
BYTE = 8  # bits
GREY_ALPHA, RGBA = 2, 4  # bands

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it warns about odd metadata; the log is for failures


def decoded(data: bytes, wanted: Pixels, max_pixels: int) -> DecodedImage | None:
    """Return the first page as `wanted`; None if Pillow must read or refuse the file.

    Raise ServiceError if the page is not served; a damaged file can raise almost anything.
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
    if page.photometric not in PLAIN:  # Pillow computes the colours of palettes, inks and the like
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
    """Raise ServiceError if more than `most` values would be read, ValueError if the file does not hold all of them."""
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
    """Return `values` [H, W, bands] as an image of 8 bits per band: RGB or grey, with alpha if the page declares it.

    Bands that are not declared as colours are taken in their order if RGB is wanted and there are enough.
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

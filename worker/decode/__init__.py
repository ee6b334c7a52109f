"""Decode the bytes of an image into the pixels that a network takes, within bounds of memory and time."""

from functools import partial

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import tiff, vips
from worker.decode.budget import Bounds, Budget
from worker.decode.decoded_image import DecodedImage
from worker.decode.encoded_image import EncodedImage, refuse_damaged
from worker.decode.file import File
from worker.decode.formats import FORMATS, MIME_TYPES, foreign, sniff
from worker.decode.geometry import INTERPOLATIONS, ROUNDINGS, Geometry
from worker.decode.jpeg import open_jpeg
from worker.decode.masked_bmp import MaskedBmpFile, is_masked, refuse_unsupported
from worker.decode.pillow_file import PillowFile
from worker.decode.pixels import COLOUR, Colour, Pixels
from worker.decode.stream import StreamedFile
from worker.decode.webp import WebpFile

__all__ = [
    "COLOUR",
    "FORMATS",
    "INTERPOLATIONS",
    "MIME_TYPES",
    "ROUNDINGS",
    "Bounds",
    "Budget",
    "Colour",
    "DecodedImage",
    "EncodedImage",
    "Geometry",
    "Pixels",
    "decode",
    "open_image",
    "sniff",
]  # fmt: skip


def decode(
    data: bytes, geometry: Geometry, bounds: Bounds | None = None, pixels: Pixels = COLOUR, exact: bool = False
) -> np.ndarray:
    """Return the image as the network sees it, uint8 [height, width, channels]; raise what `open_image` raises."""
    return open_image(data, bounds or Bounds(), pixels).scaled(geometry, exact)


def open_image(data: bytes, bounds: Bounds, pixels: Pixels) -> EncodedImage:
    """Read the header of `data`; its pixels are decoded later.

    Raise ServiceError: EMPTY_IMAGE, UNSUPPORTED_TYPE, or a code of status 422 if the image is damaged, cut short, or
    takes more pixels, memory or work than `bounds` allow. Decoding raises it, too, if there are fewer bands than
    `pixels` takes.
    """
    if not data:
        raise ServiceError(ErrorCode.EMPTY_IMAGE, "found 0 bytes, needed those of an image: send the whole file")
    kind = sniff(data)
    if kind is None:
        name = foreign(data)
        found = f"{name}, not a served type" if name else "no image of a served type"
        raise ServiceError(ErrorCode.UNSUPPORTED_TYPE, f"found {found}, needed one: send {', '.join(FORMATS)}")
    with refuse_damaged(kind):
        file = _open(data, kind, pixels)
        _require_pixels(file, bounds.max_pixels)
        file.require_served(bounds.max_pixels)
    return EncodedImage(file, pixels, bounds)


def _open(data: bytes, kind: str, pixels: Pixels) -> File:
    if kind == "JPEG":
        return open_jpeg(data)
    if kind == "BMP":
        return _open_bmp(data)
    if kind == "GIF" and pixels.background is None:  # libvips forgets the transparent colours
        return PillowFile(data, kind)
    if kind == "WebP":
        return WebpFile(data)
    if kind == "HEIC":
        from worker.decode.heic import HeicFile  # the import takes a tenth of a second

        return HeicFile(data)
    return _open_tiff(data) if kind == "TIFF" else StreamedFile(data, kind)


def _open_bmp(data: bytes) -> File:
    try:
        return PillowFile(data, "BMP")
    except OSError as error:
        if not is_masked(data):
            refuse_unsupported(error)
            raise
    return MaskedBmpFile(data)


def _open_tiff(data: bytes) -> File:
    directory = tiff.read_directory(data)
    first = tiff.first_page(data, directory)
    if directory.old_jpeg:
        return PillowFile(first, "TIFF")
    if directory.streamed:
        try:
            return StreamedFile(first, "TIFF", directory, partial(_whole_tiff, first, directory))
        except vips.Error:  # libvips is strict about tags that others do without
            pass
    return _whole_tiff(first, directory)


def _whole_tiff(data: bytes, directory: tiff.Directory) -> File:
    from worker.decode.whole_tiff import WholeTiffFile  # the import takes a tenth of a second

    return WholeTiffFile(data, directory)


def _require_pixels(file: File, max_pixels: int) -> None:
    if file.width < 1 or file.height < 1:
        raise ValueError(f"its header says {file.width} x {file.height} pixels")
    if file.width * file.height > max_pixels:
        raise ServiceError(
            ErrorCode.TOO_MANY_PIXELS,
            f"found {file.width} x {file.height} pixels, needed at most {max_pixels} in all: scale the image down",
        )

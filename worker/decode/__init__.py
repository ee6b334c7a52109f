"""Decode the bytes of an image into the pixels that a network takes, within bounds of memory and time."""

from collections.abc import Callable
from functools import partial

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import tiff, vips
from worker.decode.bounds import Bounds
from worker.decode.budget import Budget
from worker.decode.decoded_image import DecodedImage
from worker.decode.encoded_image import EncodedImage, refuse_damaged
from worker.decode.file import File, require_served
from worker.decode.formats import FORMATS, MIME_TYPES, foreign, sniff
from worker.decode.geometry import INTERPOLATIONS, ROUNDINGS, Geometry
from worker.decode.gif import refuse_many_blocks
from worker.decode.isolated import readers
from worker.decode.isolated.file import IsolatedFile
from worker.decode.isolated.pool import Pool
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
    "Pool",
    "decode",
    "open_image",
    "sniff",
]  # fmt: skip

Isolated = Callable[[str, bytes], File]  # the name of a reader, an image file -> the file that it reads


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
        file = _open(data, kind, pixels, partial(_open_isolated, pixels=pixels, bounds=bounds))
        require_served(file, bounds.max_pixels)
    return EncodedImage(file, pixels, bounds)


def _open(data: bytes, kind: str, pixels: Pixels, isolated: Isolated) -> File:
    if kind == "JPEG":
        return open_jpeg(data, lambda data, _: isolated(readers.DEEP_JPEG, data))
    if kind == "BMP":
        return _open_bmp(data)
    if kind == "GIF" and pixels.background is None:  # libvips forgets the transparent colours
        refuse_many_blocks(data)
        return PillowFile(data, kind)
    if kind == "WebP":
        return WebpFile(data)
    if kind in (readers.HEIC, readers.AVIF):
        return isolated(kind, data)
    return _open_tiff(data, isolated) if kind == "TIFF" else StreamedFile(data, kind)


def _open_bmp(data: bytes) -> File:
    try:
        return PillowFile(data, "BMP")
    except OSError as error:
        if not is_masked(data):
            refuse_unsupported(error)
            raise
    return MaskedBmpFile(data)


def _open_tiff(data: bytes, isolated: Isolated) -> File:
    directory = tiff.read_directory(data)
    first = tiff.first_page(data, directory)
    if directory.old_jpeg:
        return isolated(readers.OLD_JPEG, first)
    if directory.streamed:
        try:
            otherwise = partial(isolated, readers.WHOLE_TIFF, first)
            return StreamedFile(tiff.pixels_alone(first, directory), "TIFF", directory, otherwise)
        except vips.Error:  # libvips is strict about tags that others do without
            pass
    return isolated(readers.WHOLE_TIFF, first)


def _open_isolated(reader: str, data: bytes, pixels: Pixels, bounds: Bounds) -> File:
    """Return a file that must be decoded whole: in another process if the bounds have any, in this one otherwise."""
    if bounds.processes is None:
        return readers.READERS[reader](data)
    return IsolatedFile(bounds.processes, reader, data, pixels, bounds.max_pixels, bounds.left)

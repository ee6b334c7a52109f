"""Decode the bytes of an image into the pixels that a network takes, in few passes and without unneeded copies."""

import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import jpeg
from worker.decode.decoded_image import DecodedImage
from worker.decode.formats import FORMATS, MIME_TYPES, sniff
from worker.decode.geometry import INTERPOLATIONS, ROUNDINGS, Geometry
from worker.decode.pixels import COLOUR, Pixels, from_image
from worker.decode.turn import turn_of
from worker.decode.wide import deep_colours, is_wide, narrowed

__all__ = [
    "COLOUR",
    "FORMATS",
    "INTERPOLATIONS",
    "MIME_TYPES",
    "ROUNDINGS",
    "DecodedImage",
    "Geometry",
    "Pixels",
    "decode",
    "read",
    "sniff",
]  # fmt: skip

# `read` checks the limit from the settings before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None


def decode(data: bytes, geometry: Geometry, max_pixels: int, wanted: Pixels = COLOUR) -> np.ndarray:
    """Return the whole image as the network sees it, uint8 [height, width, channels]; raise what `read` raises."""
    return read(data, max_pixels, wanted).scaled(geometry)


def read(data: bytes, max_pixels: int, wanted: Pixels) -> DecodedImage:
    """Decode `data`.

    Raise ServiceError: EMPTY_IMAGE, UNSUPPORTED_TYPE, or a code of status 422 if the image is damaged, cut short, too
    large, or has fewer bands than `wanted`.
    """
    if not data:
        raise ServiceError(ErrorCode.EMPTY_IMAGE, "found 0 bytes, needed those of an image: send the whole file")
    kind = sniff(data)
    if kind is None:
        raise ServiceError(
            ErrorCode.UNSUPPORTED_TYPE, f"found no image of a served type, needed one: send {', '.join(FORMATS)}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd metadata; the log is for failures
            return _read(data, kind, max_pixels, wanted)
    except ServiceError:
        raise
    except UnidentifiedImageError as error:  # its message is the address of our buffer
        raise _undecodable(kind, "its header is damaged or cut short") from error
    except Exception as error:  # a damaged file can raise almost anything
        raise _undecodable(kind, f"it is damaged or cut short: {error}") from error


def _undecodable(kind: str, reason: str) -> ServiceError:
    return ServiceError(
        ErrorCode.UNDECODABLE,
        f"found {kind} data that cannot be decoded ({reason}), needed a whole image: send it again",
    )


def _read(data: bytes, kind: str, max_pixels: int, wanted: Pixels) -> DecodedImage:
    if kind == "TIFF":
        from worker.decode import tiff  # this import takes a tenth of a second; only TIFF requests pay for it

        if decoded := tiff.decoded(data, wanted, max_pixels):
            return decoded
    image = Image.open(io.BytesIO(data), formats=[kind.upper()])
    if image.width * image.height > max_pixels:
        raise ServiceError(
            ErrorCode.TOO_MANY_PIXELS,
            f"found {image.width} x {image.height} pixels, needed at most {max_pixels} in all: scale the image down",
        )
    return DecodedImage(from_image(_eight_bit(image, data, wanted), wanted), turn_of(image))


def _eight_bit(image: ImageFile, data: bytes, wanted: Pixels) -> Image.Image:
    """Return the pixels of `data`, whose header Pillow has read into `image`, in a mode of 8 bits per band."""
    if wanted.range and image.format == "PNG" and (deep := deep_colours(data, wanted.range)):
        return deep
    if image.format in ("JPEG", "MPO") and (plain := jpeg.decoded(data, image)):
        return plain
    image.load()
    return narrowed(image, wanted.range) if is_wide(image) else image

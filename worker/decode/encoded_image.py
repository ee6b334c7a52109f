"""An image file within its bounds: its size is known, its pixels are decoded when they are needed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import numpy as np
from PIL import Image

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode.bounds import Bounds
from worker.decode.decoded_image import DecodedImage
from worker.decode.file import File, OtherwiseError
from worker.decode.geometry import DISCONTINUOUS_FILTERS, Geometry
from worker.decode.isolated.file import IsolatedFile
from worker.decode.orientation import ORIENTATIONS, UPRIGHT
from worker.decode.pixels import GREY, RGB, Pixels
from worker.decode.reduced import reduced
from worker.decode.vips import OUT_OF_MEMORY, reason

# An image is shrunk while it is decoded only if this many times the network's size is left. Measured on 300 photographs
# enlarged to 12 megapixels, with EfficientNet-Lite0 in f32 and int8, it is the smallest margin that keeps 99% of the
# answers in both: 1 gives 99.0 and 98.3%, 1.5 gives 99.0 and 98.7%, 2 gives 99.7 and 99.0%, 3 and 4 give 99.7% in both
# and take twice the time. With 2, an input differs by a grey level on average, and a score by 0.01, at most by 0.1. The
# rest was scaled by Pillow there; libvips (`reduced.py`) moved one or two answers of 300, in either direction.
MARGIN = 2
LARGE_PIXELS = 16_000_000  # most phones' photographs have fewer
MODES = {1: "L", 3: "RGB"}

T = TypeVar("T")


class EncodedImage:
    """A file, the `pixels` that a network takes of it, and the bounds within which it is decoded."""

    def __init__(self, file: File, pixels: Pixels, bounds: Bounds) -> None:
        self._file, self._pixels, self._bounds = file, pixels, bounds
        self._orientation = ORIENTATIONS.get(file.orientation, UPRIGHT)

    @property
    def size(self) -> tuple[int, int]:
        """The upright image's (width, height) in pixels."""
        return self._orientation.size(self._file.width, self._file.height)

    @property
    def large(self) -> bool:
        """Whether decoding takes so long that ordinary images should not wait for it."""
        return self._file.width * self._file.height > LARGE_PIXELS

    @property
    def isolated(self) -> bool:
        """Whether it may wait for a decoding process; a TIFF does so if libvips proves unable to read it."""
        return isinstance(self._file, IsolatedFile) or self._file.kind == "TIFF"

    def scaled(self, geometry: Geometry, exact: bool = False) -> np.ndarray:
        """Return the image as the network sees it, uint8 [height, width, channels].

        Unless `exact`, a large image is shrunk while it is decoded. Raise ServiceError if it cannot be decoded.
        """
        factor = 1 if exact else self._file.shrink(self._factor(geometry))
        if factor == 1:
            return self._decoded(1, self._whole).scaled(geometry)
        return self._decoded(
            factor, partial(reduced, geometry=geometry, orientation=self._orientation, pixels=self._pixels)
        )

    def upright(self) -> DecodedImage:
        """Return the whole image, upright and in memory; raise ServiceError if it cannot be decoded."""
        return self._decoded(1, self._whole).upright()

    def _whole(self, values: np.ndarray) -> DecodedImage:
        return DecodedImage(_bands(values, self._pixels), self._orientation)

    def _factor(self, geometry: Geometry) -> int:
        if geometry.interpolation in DISCONTINUOUS_FILTERS:
            return 1
        width, height = self.size
        scaled_width, scaled_height = geometry.scaled(width, height)
        return max(1, int(min(width / max(1, scaled_width), height / max(1, scaled_height)) / MARGIN))

    def _decoded(self, factor: int, make: Callable[[np.ndarray], T]) -> T:
        """Return what `make` makes of the pixels, uint8 [H, W, bands], while their memory is held."""
        with refuse_damaged(self._file.kind):
            try:
                return self._held(self._file, factor, make)
            except OtherwiseError as odd:
                odd.file.require_served(self._bounds.max_pixels)
                return self._held(odd.file, factor, make)

    def _held(self, file: File, factor: int, make: Callable[[np.ndarray], T]) -> T:
        bounds = self._bounds
        with bounds.budget.hold(file.held_bytes(factor, self._pixels), bounds.left):
            return make(file.decode(factor, self._pixels, bounds.left))


def _bands(values: np.ndarray, pixels: Pixels) -> tuple[Image.Image, ...]:
    """Return uint8 `values` [H, W, bands] as one image, grey or RGB, or as one for each band that `pixels` takes."""
    height, width, count = values.shape
    if pixels.banded:
        return tuple(Image.fromarray(np.ascontiguousarray(values[..., band])) for band in range(pixels.channels))
    mode = MODES[count]  # of three bands: Pillow scales four in a third more time
    image = Image.frombuffer(mode, (width, height), np.ascontiguousarray(values), "raw", mode, 0, 1)
    if pixels.channels == GREY and count > 1:
        return (image.convert("L"),)
    return (image,) if pixels.channels == GREY or count >= RGB else (image.convert("RGB"),)


@contextmanager
def refuse_damaged(kind: str) -> Iterator[None]:
    """Raise ServiceError UNDECODABLE in place of what decoding a damaged file raises, which can be almost anything."""
    try:
        yield
    except (ServiceError, ImportError, NameError, MemoryError):  # the last three are no faults of the file
        raise
    except Exception as error:
        if OUT_OF_MEMORY in str(error):
            raise MemoryError(str(error)) from error
        cause = ": ".join(filter(None, ("it is damaged or cut short", reason(error))))
        raise ServiceError(
            ErrorCode.UNDECODABLE,
            f"found {kind} data that cannot be decoded ({cause}), needed a whole image: send it again",
        ) from error

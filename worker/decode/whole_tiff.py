"""TIFFs that libvips does not read: separate bands, and samples of 64 bits. tifffile reads them whole."""

import io
import logging
import math
import zlib

import numpy as np
import tifffile
from tifffile import COMPRESSION, PHOTOMETRIC, PREDICTOR

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import vips
from worker.decode.colours import select
from worker.decode.pixels import Pixels, eight_bit
from worker.decode.tiff import ORIENTATION, Directory
from worker.decode.vips import Left

DEFLATE = (COMPRESSION.DEFLATE, COMPRESSION.ADOBE_DEFLATE)
READABLE = (COMPRESSION.NONE, *DEFLATE)  # others need more than tifffile alone
BYTE = 8  # bits
BLACK = 255  # where white is 0
COPIES = 3  # of the values: a part unpacked, the whole, the bands side by side

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it warns about odd metadata; the log is for failures


class WholeTiffFile:
    """A TIFF whose first page tifffile reads as a whole. A damaged header can raise almost anything."""

    kind = "TIFF"

    def __init__(self, data: bytes, directory: Directory) -> None:
        self._data, self._directory = data, directory
        self._page = tifffile.TiffFile(io.BytesIO(data)).pages.first
        self.width, self.height = int(self._page.imagewidth), int(self._page.imagelength)
        self._bands, self._bits = int(self._page.samplesperpixel), int(self._page.bitspersample)

    @property
    def orientation(self) -> int:
        """The value of the tag; 1 if there is none."""
        return self._directory.values.get(ORIENTATION, 1)

    def shrink(self, factor: int) -> int:
        return factor

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds."""
        return self.width * self.height * self._bands * (COPIES * self._sample_bytes + 1)

    def require_served(self, max_pixels: int) -> None:
        """Raise ServiceError UNSUPPORTED_COMPRESSION, or ValueError if the file does not hold all its pixels."""
        page = self._page
        if page.compression not in READABLE or page.predictor not in (PREDICTOR.NONE, PREDICTOR.HORIZONTAL):
            name = getattr(page.compression, "name", page.compression)
            how = "a floating point predictor" if page.compression in READABLE else name
            raise ServiceError(
                ErrorCode.UNSUPPORTED_COMPRESSION,
                f"found a TIFF of {self._bands} separate bands of {self._bits} bits compressed by {how}, "
                "needed Deflate or none: save it so, or with interleaved bands",
            )
        if page.imagedepth != 1 or math.prod(page.chunks) > self.width * self.height * self._bands:
            raise ValueError("its header contradicts itself")
        for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if not count or start + count > len(self._data):
                raise ValueError("it ends before its last pixel")

    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray:
        """Return uint8 [H, W, bands], shrunk by `factor`: RGB or grey, or the bands that `pixels` takes."""
        page = self._page
        self._require_bounded_parts()
        values = page.asarray(maxworkers=1)
        values = np.moveaxis(values, page.axes.index("S"), -1) if "S" in page.axes else values[..., np.newaxis]
        if page.photometric == PHOTOMETRIC.MINISWHITE:
            values = BLACK - eight_bit(values, pixels.range)
        elif values.dtype.type not in vips.FORMATS:  # integers of 64 bits, floats of 16
            values = eight_bit(values, pixels.range)
        whole = vips.from_array(values).copy(interpretation=_interpretation(page, values.shape[-1]))
        whole = select(whole, pixels, self._directory.alpha, self._directory.associated_alpha)
        return vips.to_array(vips.shrunk(whole, factor), left)

    @property
    def _sample_bytes(self) -> int:
        return -(-self._bits // BYTE)

    def _require_bounded_parts(self) -> None:
        """Raise ValueError if a strip or tile unpacks to more than its pixels."""
        page = self._page
        part = math.prod(page.chunks) * self._sample_bytes
        for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            packed = self._data[start : start + count]
            if page.compression in DEFLATE and len(zlib.decompressobj().decompress(packed, part + 1)) > part:
                raise ValueError("a part of it unpacks to more than it holds")


def _interpretation(page: tifffile.TiffPage, bands: int) -> str:
    if page.photometric == PHOTOMETRIC.RGB:
        return "rgb16" if page.bitspersample > BYTE else "srgb"
    return "multiband" if bands > 1 else "b-w"

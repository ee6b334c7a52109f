"""Usual JPEGs, by libjpeg-turbo directly: half the time that libvips takes for a small one."""

import math

import numpy as np
import simplejpeg

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode.jpeg_end import SCAN, with_end
from worker.decode.jpeg_header import read_header
from worker.decode.pixels import Pixels
from worker.decode.stream import JPEG_SHRINKS, StreamedFile
from worker.decode.vips import Left

LAYOUTS = {1: "GRAY", 3: "RGB"}  # components: simplejpeg's name for them
# Every scan of a progressive JPEG passes over all coefficients, however few bytes it has (libjpeg-turbo's issues 252
# and 284 leave the limit to its callers). 64 megapixels in 31 scans take about 4 seconds; encoders write up to 14.
MAX_SCANNED_PIXELS = 2 * 10**9
COEFFICIENT_BYTES = 2


class JpegFile:
    """A JPEG whose header has been read; raise what `read_header` raises."""

    kind = "JPEG"

    def __init__(self, data: bytes) -> None:
        self._data, self._header = data, read_header(data)
        self.width, self.height = self._header.width, self._header.height
        self.orientation = self._header.orientation

    def shrink(self, factor: int) -> int:
        """Return the largest shrink up to `factor` that the inverse DCT offers."""
        return max(shrink for shrink in JPEG_SHRINKS if shrink <= factor)

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds, the result shrunk by `factor` included."""
        held = self._coefficients() if self._header.progressive else 0
        return held + 2 * 4 * math.ceil(self.width / factor) * math.ceil(self.height / factor)

    def require_served(self, max_pixels: int) -> None:
        """Raise ServiceError if the scans are more than an image of this size may have.

        Raise ValueError if libjpeg-turbo finds another size, such as that of a second frame.
        """
        scans = self._data.count(SCAN)
        if scans * self.width * self.height > MAX_SCANNED_PIXELS:
            raise ServiceError(
                ErrorCode.IMAGE_TOO_COSTLY,
                f"found {scans} scans of {self.width} x {self.height} pixels, needed at most "
                f"{MAX_SCANNED_PIXELS // (self.width * self.height)}: save the image as a baseline JPEG",
            )
        if self._turbo_size() != (self.width, self.height):
            raise ValueError("its headers contradict each other")

    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray:
        """Return uint8 [H, W, bands], shrunk by `factor`: grey, RGB, or the bands that `pixels` takes.

        Colours that are not RGB or grey, and files with faults, are left to libvips, which refuses what is damaged.
        """
        layout = None if pixels.banded else LAYOUTS.get(len(self._header.sampling))
        try:
            return self._turbo(self._data, layout, factor)
        except (ValueError, LookupError):
            data = with_end(self._data, self._header)
        if data is not self._data:
            try:
                return self._turbo(data, layout, factor, strict=False)
            except (ValueError, LookupError):
                pass
        return StreamedFile(data, self.kind).decode(factor, pixels, left)

    def _turbo(self, data: bytes, layout: str | None, factor: int, strict: bool = True) -> np.ndarray:
        """Return uint8 [H, W, bands]; raise ValueError if the layout is none of libjpeg-turbo's, or about a fault."""
        if not layout:
            raise ValueError("no usual colours")
        height, width = math.ceil(self.height / factor), math.ceil(self.width / factor)
        return simplejpeg.decode_jpeg(
            data, layout, min_height=height, min_width=width, min_factor=factor, strict=strict
        )

    def _turbo_size(self) -> tuple[int, int]:
        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(self._data)
        except (ValueError, LookupError):  # an unusual subsampling
            file = StreamedFile(self._data, self.kind)
            return file.width, file.height
        return width, height

    def _coefficients(self) -> int:
        """Return the bytes of all coefficients, which a progressive JPEG needs in memory at once."""
        sampling = self._header.sampling
        whole = max(across for across, _ in sampling) * max(down for _, down in sampling)
        shares = sum(across * down for across, down in sampling) / whole
        return int(self.width * self.height * shares * COEFFICIENT_BYTES)

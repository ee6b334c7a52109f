"""Usual JPEGs, by libjpeg-turbo directly: a third of the time that libvips takes for a small one."""

import io
import math

import numpy as np
import simplejpeg
from PIL import Image

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode.orientation import ORIENTATION_TAG
from worker.decode.pixels import Pixels
from worker.decode.stream import JPEG_SHRINKS, StreamedFile
from worker.decode.vips import Left

LAYOUTS = {"RGB": "RGBX", "L": "GRAY"}  # Pillow's mode: the layout in which its pixels need no copy
START_OF_SCAN = b"\xff\xda"
# Every scan of a progressive JPEG passes over all coefficients, however few bytes it has (libjpeg-turbo's issues 252
# and 284 leave the limit to its callers). 64 megapixels in 31 scans take about 4 seconds; encoders write up to 14.
MAX_SCANNED_PIXELS = 2 * 10**9
COEFFICIENT_BYTES = 2


class JpegFile:
    """A JPEG whose header Pillow has read. Raise what Pillow raises if the header is damaged."""

    def __init__(self, data: bytes, kind: str = "JPEG") -> None:
        self._data, self.kind = data, kind
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            self.width, self.height = image.size
            self._mode = image.mode
            self._progressive = "progressive" in image.info
            self._sampling = [(across, down) for _, across, down, _ in image.layer]  # type: ignore[attr-defined]
            self.orientation = _orientation(image)

    def shrink(self, factor: int) -> int:
        """Return the largest shrink up to `factor` that the inverse DCT offers."""
        return max(shrink for shrink in JPEG_SHRINKS if shrink <= factor)

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds, the result shrunk by `factor` included."""
        held = self._coefficients() if self._progressive else 0
        return held + 2 * 4 * math.ceil(self.width / factor) * math.ceil(self.height / factor)

    def require_served(self, max_pixels: int) -> None:
        """Raise ServiceError if the scans are more than an image of this size may have.

        Raise ValueError if the file has another size for libjpeg-turbo, which goes by the first of several headers.
        """
        if self._turbo_size() != (self.width, self.height):
            raise ValueError("its headers contradict each other")
        scans = self._data.count(START_OF_SCAN)
        if scans * self.width * self.height > MAX_SCANNED_PIXELS:
            raise ServiceError(
                ErrorCode.IMAGE_TOO_COSTLY,
                f"found {scans} scans of {self.width} x {self.height} pixels, needed at most "
                f"{MAX_SCANNED_PIXELS // (self.width * self.height)}: save the image as a baseline JPEG",
            )

    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray:
        """Return uint8 [H, W, bands], shrunk by `factor`; bands beyond RGB have no meaning.

        Colours that are not RGB or grey, and files with faults, are left to libvips, which refuses what is damaged.
        """
        if self._mode in LAYOUTS and not pixels.banded:
            try:
                height, width = math.ceil(self.height / factor), math.ceil(self.width / factor)
                return simplejpeg.decode_jpeg(
                    self._data, LAYOUTS[self._mode], min_height=height, min_width=width, min_factor=factor
                )
            except ValueError:
                pass
        return StreamedFile(self._data, self.kind).decode(factor, pixels, left)

    def _turbo_size(self) -> tuple[int, int]:
        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(self._data)
        except ValueError:  # an unusual subsampling
            file = StreamedFile(self._data, self.kind)
            return file.width, file.height
        return width, height

    def _coefficients(self) -> int:
        """Return the bytes of all coefficients, which a progressive JPEG needs in memory at once."""
        most_across = max(across for across, _ in self._sampling)
        most_down = max(down for _, down in self._sampling)
        shares = sum(across * down for across, down in self._sampling) / (most_across * most_down)
        return int(self.width * self.height * shares * COEFFICIENT_BYTES)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # broken metadata is no reason to refuse good pixels
        return 1

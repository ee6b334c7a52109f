"""Usual JPEGs, by libjpeg-turbo directly: half the time that libvips takes for a small one."""

import math
from collections.abc import Callable

import numpy as np
import simplejpeg

from worker.decode.deep_jpeg import DeepJpegFile, is_deep
from worker.decode.file import File, result_bytes
from worker.decode.jpeg_end import require_scans, with_end
from worker.decode.jpeg_header import JpegHeader, read_header
from worker.decode.pixels import Pixels
from worker.decode.stream import JPEG_SHRINKS, StreamedFile
from worker.decode.vips import Left

LAYOUTS = {1: "GRAY", 3: "RGB"}  # components: simplejpeg's name for them
COEFFICIENT_BYTES = 2
COPIED_BYTES = 8  # a pixel: decoded, as Pillow holds it, and in grey


def open_jpeg(data: bytes, deep: Callable[[bytes, JpegHeader], File] = DeepJpegFile) -> File:
    """Return the JPEG `data` by its coding, by `deep` if libjpeg-turbo's usual way does not read it.

    Raise what `read_header` and `deep` raise.
    """
    header = read_header(data)
    return deep(data, header) if is_deep(header) else JpegFile(data, header)


class JpegFile:
    """A JPEG of 8 bits, its usual codings and colours."""

    kind = "JPEG"

    def __init__(self, data: bytes, header: JpegHeader) -> None:
        self._data, self._header = data, header
        self.width, self.height = self._header.width, self._header.height
        self.orientation = self._header.orientation

    def shrink(self, factor: int) -> int:
        """Return the largest shrink up to `factor` that the inverse DCT offers."""
        return max(shrink for shrink in JPEG_SHRINKS if shrink <= factor)

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds, the result shrunk by `factor` included.

        The coefficients are freed before Pillow copies the pixels; beside them are two copies if libvips decodes.
        """
        coefficients = self._coefficients() if self._header.progressive else 0
        area = math.ceil(self.width / factor) * math.ceil(self.height / factor)
        return max(coefficients + 2 * result_bytes(self, factor, pixels), COPIED_BYTES * area)

    def require_served(self, max_pixels: int) -> None:
        """Raise ServiceError if the scans are more than an image of this size may have.

        Raise ValueError if libjpeg-turbo finds another size, such as that of a second frame.
        """
        require_scans(self._data, self._header)
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

"""Files that libvips reads: PNG, WebP, GIF, TIFF, AVIF, and the JPEGs that need more than the usual way."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import colours, png, tiff, vips
from worker.decode.file import File, OtherwiseError, result_bytes
from worker.decode.pixels import Pixels
from worker.decode.vips import Left

WATCHED_PIXELS = 10**6  # images below are decoded before a check of the deadline would pay
ROWS = 64  # that a pipeline buffers, at most
# Bytes that the decoder of a format holds for every pixel, where it needs the whole image: measured at 64 megapixels.
# GIF: 290 MB; AVIF: 254 MB at 16 megapixels, of 8 bits.
WHOLE = {"GIF": 5, "AVIF": 16}
JPEG_SHRINKS = (1, 2, 4, 8)
TILED_PIXELS = 2  # that tiles may have for each pixel of a large image


class StreamedFile:
    """An image file whose header libvips has read. Raise what libvips raises if the header is damaged.

    `otherwise` reads a file of which libvips only warns: of odd tags, and of nothing wrong with its pixels.
    """

    def __init__(
        self,
        data: bytes,
        kind: str,
        directory: tiff.Directory | None = None,
        otherwise: Callable[[], File] | None = None,
    ) -> None:
        self._data, self.kind, self._directory, self._otherwise = data, kind, directory, otherwise
        self._header = vips.open_lazily(data, kind)
        self.width, self.height = self._header.width, self._header.height

    @property
    def orientation(self) -> int:
        """The value of the EXIF tag; 1 if there is none. libvips has applied that of AVIF."""
        if self.kind == "PNG":
            return png.orientation(self._data)
        return self._header.get("orientation") if self._header.get_typeof("orientation") else 1

    @cached_property
    def read_pixels(self) -> int:
        """The pixels that are read, which tiles can make more than the image has."""
        if not self._header.get_typeof("tile-width"):
            return self.width * self.height
        across, down = self._header.get("tile-width"), self._header.get("tile-height")
        return -(-self.width // across) * across * -(-self.height // down) * down

    def shrink(self, factor: int) -> int:
        """Return the largest served shrink up to `factor`."""
        return max(shrink for shrink in JPEG_SHRINKS if shrink <= factor) if self.kind == "JPEG" else factor

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds, the result shrunk by `factor` included."""
        header, area = self._header, self.width * self.height
        sample = np.dtype(vips.DTYPES[header.format]).itemsize * header.bands
        held = ROWS * self.width * (sample + pixels.channels)
        if self._directory:
            held += len(self._data)  # a copy of the body, with fewer tags
        if self.kind in WHOLE:
            held += area * WHOLE[self.kind] * max(1, sample // header.bands)
        elif header.get_typeof("interlaced"):
            held += 2 * area * sample  # the rows do not come in their order
        if header.get_typeof("tile-width"):
            held += 2 * header.get("tile-height") * (self.width + header.get("tile-width")) * sample
        return int(held + area * colours.bytes_a_pixel(header) + 2 * result_bytes(self, factor, pixels))

    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray:
        """Return uint8 [H, W, bands], shrunk by `factor`: RGB or grey, or the bands that `pixels` takes."""
        if self.kind == "JPEG":
            image = vips.Image.jpegload_buffer(self._data, shrink=factor, access="sequential", fail_on="error")
        else:
            image = self._header
        directory = self._directory
        alpha = directory.alpha if directory else image.hasalpha() > 0
        shrink = factor if self.kind != "JPEG" else 1
        # Before the other steps it saves most, but colours behind transparency, and values out of range, come first.
        if shrink > 1 and not alpha and not pixels.range and image.format in colours.STREAMED:
            image, shrink = vips.shrunk(image, shrink), 1
        image = vips.shrunk(colours.select(image, pixels, alpha), shrink)  # libvips has divided colours by their alpha
        try:
            return vips.to_array(image, left if self.read_pixels > WATCHED_PIXELS else None)
        except vips.Error as error:
            if self._otherwise and not vips.reason(error):
                raise OtherwiseError(self._otherwise()) from error
            raise

    def require_served(self, max_pixels: int) -> None:
        """Raise ServiceError if tiles make the file cost more than an image of `max_pixels`."""
        if self.read_pixels > max(max_pixels, TILED_PIXELS * self.width * self.height):
            tile = f"{self._header.get('tile-width')} x {self._header.get('tile-height')}"
            raise ServiceError(
                ErrorCode.TOO_MANY_PIXELS,
                f"found tiles of {tile} pixels, {self.read_pixels} in all, for {self.width} x {self.height} pixels, "
                f"needed at most {max_pixels} in all: save the image with smaller tiles",
            )

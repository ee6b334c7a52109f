"""What Pillow reads and libvips does not: BMP, for it counts as untrusted there, TIFFs in old-style JPEG, and GIFs."""

import io
import struct
import warnings

import numpy as np
from PIL import Image

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import vips
from worker.decode.colours import select
from worker.decode.pixels import Pixels
from worker.decode.tiff import ORIENTATION
from worker.decode.vips import Left

COMPRESSION = struct.Struct("<I")
COMPRESSION_OFFSET = 30  # in a file with the usual header of 40 bytes or more
RUN_LENGTHS = (1, 2)  # BI_RLE8, BI_RLE4
# Pillow decodes run lengths in Python, about 2 million runs a second.
MAX_RUN_LENGTH_BYTES = 2 * 10**6
PIXEL_BYTES = 12  # Pillow's pixels, its copy and ours


Image.MAX_IMAGE_PIXELS = None  # the worker's own limit refuses more, and says so


class PillowFile:
    """A file whose header Pillow has read. Raise what Pillow raises if the header is damaged."""

    def __init__(self, data: bytes, kind: str) -> None:
        self._data, self.kind = data, kind
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd metadata; the log is for failures
            self._image = Image.open(io.BytesIO(data), formats=[self.kind])
        self.width, self.height = self._image.size
        self.orientation = self._image.getexif().get(ORIENTATION, 1) if kind == "TIFF" else 1

    def shrink(self, factor: int) -> int:
        return factor

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds."""
        return PIXEL_BYTES * self.width * self.height

    def require_served(self, max_pixels: int) -> None:
        """Raise ServiceError if the file has more run lengths than are decoded in time."""
        if self.kind != "BMP":
            return
        (compression,) = COMPRESSION.unpack_from(self._data.ljust(64, b"\0"), COMPRESSION_OFFSET)
        if compression in RUN_LENGTHS and len(self._data) > MAX_RUN_LENGTH_BYTES:
            raise ServiceError(
                ErrorCode.IMAGE_TOO_COSTLY,
                f"found a BMP with {len(self._data)} bytes of run lengths, needed at most {MAX_RUN_LENGTH_BYTES}: "
                "save it without compression, or as PNG",
            )

    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray:
        """Return uint8 [H, W, bands], shrunk by `factor`: RGB or grey, or the bands that `pixels` takes."""
        image = self._image
        transparent = image.has_transparency_data and (pixels.banded or pixels.background is not None)
        mode = "RGBA" if transparent else "L" if image.mode in ("1", "L") else "RGB"
        values = np.asarray(image if image.mode == mode else image.convert(mode))
        values = values if values.ndim > 2 else values[..., np.newaxis]
        interpretation = "b-w" if mode == "L" else "srgb"
        whole = select(vips.from_array(values).copy(interpretation=interpretation), pixels, alpha=mode == "RGBA")
        return vips.to_array(vips.shrunk(whole, factor), left)

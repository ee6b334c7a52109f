"""HEIC, as phones write it, by libheif and libde265."""

import numpy as np
import pillow_heif
from pillow_heif import options

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import vips
from worker.decode.colours import select
from worker.decode.file import result_bytes
from worker.decode.pixels import GREY, Pixels
from worker.decode.vips import Left

# Nothing but the image itself is read; requests run in parallel already.
options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
options.DECODE_THREADS = 1

BYTE = 8  # bits
SUBSAMPLED = 420
# Bytes that decoding holds for every pixel, measured at 12 megapixels: 5 with colours of a quarter of the size, which
# all phones write, up to 10 for others; and the copies of the file.
USUAL_BYTES, OTHER_BYTES, COPIES = 6, 10, 2


class HeicFile:
    """A HEIC whose boxes have been read; raise what libheif raises if they are damaged.

    Its own properties say how to turn the image, and libheif does; the EXIF tag only repeats them (23008-12, 6.5.10).
    """

    kind, orientation = "HEIC", 1

    def __init__(self, data: bytes) -> None:
        file = pillow_heif.open_heif(data)
        if not len(file):
            raise ServiceError(
                ErrorCode.UNSUPPORTED_TYPE,
                "found a HEIC that holds a video alone, needed an image: send one frame as JPEG or PNG",
            )
        self._image, self._size = file[file.primary_index], len(data)
        self.width, self.height = self._image.size

    def shrink(self, factor: int) -> int:
        return factor

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds, the result shrunk by `factor` included."""
        info, image = self._image.info, self._image
        usual = info["bit_depth"] == BYTE and info.get("chroma", SUBSAMPLED) == SUBSAMPLED and not image.has_alpha
        own = self.width * self.height * (USUAL_BYTES if usual else OTHER_BYTES)
        return own + COPIES * self._size + 2 * result_bytes(self, factor, pixels)

    def require_served(self, max_pixels: int) -> None:
        """Every HEIC is served: libheif itself bounds the number and the size of its tiles."""

    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray:
        """Return uint8 [H, W, bands], shrunk by `factor`: RGB or grey, or the bands that `pixels` takes."""
        image = self._image
        values = np.asarray(image)
        if values.shape[:2] != (self.height, self.width):
            raise ValueError("its headers contradict each other")
        whole = vips.from_array(values if values.ndim > 2 else values[..., np.newaxis])
        whole = whole.copy(interpretation="b-w" if whole.bands == GREY else "srgb")
        whole = select(whole, pixels, image.has_alpha, image.premultiplied_alpha)
        return vips.to_array(vips.shrunk(whole, factor), left)

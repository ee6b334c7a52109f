"""TIFFs that libvips does not read: by their layout, their samples or their compression. tifffile reads them whole."""

import io
import logging
import math

import numpy as np
import tifffile
from tifffile import COMPRESSION, PREDICTOR

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import tiff_colours, vips
from worker.decode.colours import select
from worker.decode.pixels import CUT_SHORT, Pixels
from worker.decode.tiff import ORIENTATION, Directory
from worker.decode.tiff_parts import JPEG_2000S, SIZED, require_bounded, require_readable, unsupported
from worker.decode.vips import Left

PREDICTORS = (PREDICTOR.NONE, PREDICTOR.HORIZONTAL, PREDICTOR.FLOATINGPOINT)
LAB_BYTES = 15  # floats of three bands, and their colours
COLOUR_BYTES = 4  # what a palette, or bits, become
# OpenJPEG decodes about 5 million samples a second on one core, and cannot be stopped.
MAX_JPEG_2000_SAMPLES = 40 * 10**6
OVERLAP = 2  # how often each byte of the file may be read
COPIES = 3  # of the values: a part unpacked, the whole, the bands side by side

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it warns about odd metadata; the log is for failures


class WholeTiffFile:
    """A TIFF whose first page tifffile reads as a whole. A damaged header can raise almost anything."""

    kind = "TIFF"

    def __init__(self, data: bytes, directory: Directory) -> None:
        self._data, self._directory = data, directory
        self._page = tifffile.TiffFile(io.BytesIO(data)).pages.first
        self.width, self.height = int(self._page.imagewidth), int(self._page.imagelength)
        self._bands = int(self._page.samplesperpixel)

    @property
    def orientation(self) -> int:
        """The value of the tag; 1 if there is none."""
        return self._directory.values.get(ORIENTATION, 1)

    def shrink(self, factor: int) -> int:
        return factor

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds."""
        page = self._page
        sample = page.dtype.itemsize if page.dtype else 1
        held = self._bands * (COPIES * sample + 1) + COLOUR_BYTES
        if page.compression in SIZED:
            held += self._bands * COPIES * sample  # such codecs hold coefficients, too
        return self.width * self.height * (held + (LAB_BYTES if page.photometric in tiff_colours.LABS else 0))

    def require_served(self, max_pixels: int) -> None:
        """Raise ServiceError UNSUPPORTED_COMPRESSION, or ValueError if the file does not hold all its pixels."""
        page = self._page
        require_readable(page)
        tiff_colours.require_served(page)
        if page.predictor not in PREDICTORS:
            raise unsupported(f"with predictor {page.predictor}")
        samples = self.width * self.height * self._bands
        if page.compression in JPEG_2000S and samples > MAX_JPEG_2000_SAMPLES:
            raise ServiceError(
                ErrorCode.IMAGE_TOO_COSTLY,
                f"found a TIFF of {samples} samples in JPEG 2000, needed at most {MAX_JPEG_2000_SAMPLES}: scale it "
                "down, or save it with Deflate",
            )
        if page.imagedepth != 1 or math.prod(page.chunks) > 2 * max(self.width * self.height * self._bands, 1 << 20):
            raise ValueError("its header contradicts itself")
        if not page.dataoffsets or len(page.dataoffsets) != len(page.databytecounts):
            raise ValueError("its header contradicts itself")
        if len(page.databytecounts) > 1 and sum(page.databytecounts) > OVERLAP * len(self._data):
            raise ValueError("its parts overlap")
        most = math.prod(page.chunks) * (page.dtype.itemsize if page.dtype else 1)
        for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            held = min(count, most) if page.compression == COMPRESSION.NONE else count  # some writers claim more
            if not count or start + held > len(self._data):
                raise ValueError(CUT_SHORT)

    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray:
        """Return uint8 [H, W, bands], shrunk by `factor`: RGB or grey, or the bands that `pixels` takes."""
        page = self._page
        require_bounded(page, self._data)
        values = page.asarray(maxworkers=1)
        values = np.moveaxis(values, page.axes.index("S"), -1) if "S" in page.axes else values[..., np.newaxis]
        whole = tiff_colours.coloured(page, values, pixels)
        whole = select(whole, pixels, self._directory.alpha, self._directory.associated_alpha)
        return vips.to_array(vips.shrunk(whole, factor), left)

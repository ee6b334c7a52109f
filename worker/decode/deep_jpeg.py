"""JPEGs of more than 8 bits, lossless ones and JPEG-LS, as medical devices write them: imagecodecs reads them whole."""

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import vips
from worker.decode.colours import select
from worker.decode.jpeg_end import END, require_all_data, require_scans
from worker.decode.jpeg_header import JPEG_LS, LOSSLESS, NAMES, SEQUENTIAL, JpegHeader
from worker.decode.pixels import CUT_SHORT, GREY, RGB, Pixels, eight_bit
from worker.decode.vips import Left

BYTE = 8  # bits
READABLE = (*SEQUENTIAL, LOSSLESS, JPEG_LS)
COMPONENTS = (GREY, RGB)
SAMPLE_BYTES = 8  # for every sample: coefficients of 4 bytes if it is progressive, values of 2, their 8 bits


def is_deep(header: JpegHeader) -> bool:
    """Return whether libjpeg-turbo's usual way does not read such a JPEG: it has 8 bits, and no lossless coding."""
    return header.bits != BYTE or header.frame in NAMES


class DeepJpegFile:
    """A JPEG for which `is_deep` is true."""

    kind = "JPEG"

    def __init__(self, data: bytes, header: JpegHeader) -> None:
        self._data, self._header = data, header
        self.width, self.height, self.orientation = header.width, header.height, header.orientation

    def shrink(self, factor: int) -> int:
        return factor

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds."""
        return SAMPLE_BYTES * self.width * self.height * len(self._header.components)

    def require_served(self, max_pixels: int) -> None:
        """Raise ServiceError UNSUPPORTED_COMPRESSION for what imagecodecs does not read.

        Raise ValueError without an end marker, and ServiceError for more scans than an image of this size may have.
        """
        header = self._header
        count = len(header.components)
        if header.frame not in READABLE or count not in COMPONENTS:
            how = NAMES.get(header.frame, f"{header.bits} bits a sample")
            raise ServiceError(
                ErrorCode.UNSUPPORTED_COMPRESSION,
                f"found a JPEG of {count} components in {how}, which is not served, needed another form: save it as a "
                "baseline JPEG or as PNG",
            )
        if self._data.find(END, header.scan) < 0:
            raise ValueError(CUT_SHORT)
        require_scans(self._data, header)

    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray:
        """Return uint8 [H, W, bands], shrunk by `factor`: RGB or grey, or the bands that `pixels` takes."""
        import imagecodecs  # only such files need it

        header = self._header
        read = imagecodecs.jpegls_decode if header.frame == JPEG_LS else imagecodecs.jpeg_decode
        values = np.asarray(read(self._data))
        if header.frame != JPEG_LS:  # whose decoder tells by itself
            require_all_data(self._data, header, values, read)
        values = values if values.ndim > 2 else values[..., np.newaxis]
        if values.shape != (self.height, self.width, len(header.components)):
            raise ValueError("its headers contradict each other")
        if header.bits < BYTE:
            values = values.astype(np.uint16)
        values = eight_bit(values, pixels.range or (0, 2**header.bits - 1))
        whole = vips.from_array(values).copy(interpretation="b-w" if values.shape[-1] == GREY else "srgb")
        return vips.to_array(vips.shrunk(select(whole, pixels, alpha=False), factor), left)

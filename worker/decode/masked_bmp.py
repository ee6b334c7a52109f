"""BMPs whose colours lie under bit masks that Pillow does not know: any bits of 16 or 32, with or without alpha."""

import struct

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import vips
from worker.decode.colours import select
from worker.decode.pixels import CUT_SHORT, Pixels
from worker.decode.vips import Left

# BITMAPINFOHEADER, after the 14 bytes of the file's own header and the size of this one.
HEADER = struct.Struct("<IiiHHI")  # its size, width, height (negative: from the top), planes, bits, compression
START, PIXELS_OFFSET, MASKS = 14, 10, 54
MASKED, ALPHA_MASKED = 3, 6  # BI_BITFIELDS, BI_ALPHABITFIELDS
WITH_ALPHA_BYTES = 56  # of a header that has a mask of alpha
PIXEL_BYTES = 24  # the values, one colour as numbers of 32 bits, the bands
BYTE = 255
KINDS = {16: "<u2", 32: "<u4"}


def is_masked(data: bytes) -> bool:
    """Return whether the BMP `data` says where its colours lie."""
    *_, bits, compression = HEADER.unpack_from(data.ljust(MASKS, b"\0"), START)
    return bits in KINDS and compression in (MASKED, ALPHA_MASKED)


def refuse_unsupported(error: Exception) -> None:
    """Raise ServiceError UNSUPPORTED_COMPRESSION for a BMP that Pillow knows, and knows that it cannot read."""
    what = str(error).removeprefix("Unsupported BMP ")
    if what != str(error):
        raise ServiceError(
            ErrorCode.UNSUPPORTED_COMPRESSION,
            f"found a BMP of {what}, which is not served, needed another form: save it as PNG",
        ) from error


class MaskedBmpFile:
    """A BMP for which `is_masked` is true; raise struct.error or ValueError if its header is damaged."""

    kind, orientation = "BMP", 1

    def __init__(self, data: bytes) -> None:
        size, self.width, height, _, bits, compression = HEADER.unpack_from(data, START)
        self.height, self._from_top = abs(height), height < 0
        has_alpha = compression == ALPHA_MASKED or size >= WITH_ALPHA_BYTES
        masks = struct.unpack_from("<4I" if has_alpha else "<3I", data, MASKS)
        if not all(masks[:3]):
            raise ValueError("its header has no place for a colour")
        self._masks = masks if masks[-1] else masks[:3]
        self._data, self._type = data, np.dtype(KINDS[bits])
        (self._start,) = struct.unpack_from("<I", data, PIXELS_OFFSET)

    def shrink(self, factor: int) -> int:
        return factor

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds."""
        return PIXEL_BYTES * self.width * self.height

    def require_served(self, max_pixels: int) -> None:
        """Raise ValueError if the file does not hold all its pixels."""
        if self._start + self._row_bytes * self.height > len(self._data):
            raise ValueError(CUT_SHORT)

    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray:
        """Return uint8 [H, W, bands], shrunk by `factor`: RGB, or the bands that `pixels` takes."""
        rows = np.frombuffer(self._data, np.uint8, self._row_bytes * self.height, self._start)
        values = rows.reshape(self.height, -1).view(self._type)[:, : self.width]
        values = values if self._from_top else values[::-1]
        bands = np.stack([_band(values, mask) for mask in self._masks], axis=-1)
        whole = vips.from_array(bands).copy(interpretation="srgb")
        return vips.to_array(vips.shrunk(select(whole, pixels, alpha=len(self._masks) > 3), factor), left)

    @property
    def _row_bytes(self) -> int:
        return -(-self.width * self._type.itemsize // 4) * 4


def _band(values: np.ndarray, mask: int) -> np.ndarray:
    """Return the bits under `mask` as bytes, their whole range from 0 to 255."""
    lowest = mask & -mask
    levels = (values & values.dtype.type(mask & int(np.iinfo(values.dtype).max))) // values.dtype.type(lowest)
    return np.rint(levels * (BYTE / (mask // lowest))).astype(np.uint8)

"""An image file that a decoding process reads, its header and its pixels."""

from typing import cast

import numpy as np

from worker.decode.file import result_bytes
from worker.decode.isolated.messages import Header, Request
from worker.decode.isolated.pool import Pool
from worker.decode.pixels import Pixels
from worker.decode.vips import Left

# What the process may take in bytes: twice what is known of the image, and some for codecs that are loaded late, for
# their threads' stacks, and for small images.
MARGIN, SPARE_BYTES = 2, 64 << 20
COPIES = 2  # of the file, while its header is read


class IsolatedFile:
    """A file whose header `reader`, one of READERS, has read in a process of `pool`; raise what `Pool.read` raises."""

    def __init__(self, pool: Pool, reader: str, data: bytes, pixels: Pixels, max_pixels: int, left: Left) -> None:
        self._pool, self.kind, self._data = pool, reader, data
        request = Request(reader, pixels, max_pixels, _allowed(COPIES * len(data)))
        header = cast(Header, pool.read(request, data, left))
        self.width, self.height, self.orientation = header.width, header.height, header.orientation
        self._held, self._max_pixels = header.held, max_pixels

    def shrink(self, factor: int) -> int:
        return factor

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds, the result shrunk by `factor` included."""
        return self._held + 2 * result_bytes(self, factor, pixels)

    def require_served(self, max_pixels: int) -> None:
        """Its process has refused what is not served."""

    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray:
        """Return uint8 [H, W, bands], shrunk by `factor`: RGB or grey, or the bands that `pixels` takes."""
        memory = _allowed(self.held_bytes(factor, pixels) + COPIES * len(self._data))
        request = Request(self.kind, pixels, self._max_pixels, memory, factor)
        return cast(np.ndarray, self._pool.read(request, self._data, left))


def _allowed(count: int) -> int:
    return MARGIN * count + SPARE_BYTES

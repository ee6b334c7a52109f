"""WebPs. Their header is read without libvips, which allocates four bytes for every pixel as soon as it opens one."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode.file import result_bytes
from worker.decode.orientation import read_orientation
from worker.decode.pixels import Pixels
from worker.decode.stream import StreamedFile
from worker.decode.vips import Left

FIRST_CHUNK, CHUNK = 12, struct.Struct("<4sI")  # RFC 9649, 2.3 and 2.4: behind the RIFF header; a name, a length
FRAME, MAX_FRAMES = b"ANMF", 10_000  # its chunk in an animation
MAX_CHUNKS = 2 * MAX_FRAMES  # that are looked through for the EXIF orientation
# That libwebp and libvips hold for every pixel, for they need the whole image: 498 to 527 MB at 64 megapixels.
PIXEL_BYTES = 8


class WebpFile:
    """A WebP whose header has been read; raise what `read_header` raises."""

    kind = "WebP"

    def __init__(self, data: bytes) -> None:
        self._data, header = data, read_header(data)
        self.width, self.height, self.orientation = header.width, header.height, header.orientation

    def shrink(self, factor: int) -> int:
        return factor

    def held_bytes(self, factor: int, pixels: Pixels) -> int:
        """Return about how many bytes decoding holds, the result shrunk by `factor` included."""
        return self.width * self.height * PIXEL_BYTES + 2 * result_bytes(self, factor, pixels)

    def require_served(self, max_pixels: int) -> None:
        """Every WebP is served: it has no tiles."""

    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray:
        """Return uint8 [H, W, bands], shrunk by `factor`: RGB or grey, or the bands that `pixels` takes."""
        file = StreamedFile(self._data, self.kind)
        if (file.width, file.height) != (self.width, self.height):
            raise ValueError("its headers contradict each other")
        return file.decode(factor, pixels, left)


@dataclass(frozen=True)
class WebpHeader:
    """The size in pixels of the canvas, and the EXIF orientation, 1 if there is none."""

    width: int
    height: int
    orientation: int


def read_header(data: bytes) -> WebpHeader:
    """Return the header of the WebP `data`.

    Raise ServiceError IMAGE_TOO_COSTLY if it has more frames than libwebp reads soon, for it takes time to their
    square, and ValueError or struct.error if it is damaged.
    """
    frames = data.count(FRAME)
    if frames > MAX_FRAMES:
        raise ServiceError(
            ErrorCode.IMAGE_TOO_COSTLY,
            f"found a WebP of {frames} frames, needed at most {MAX_FRAMES}: send the first frame alone",
        )
    name, length = CHUNK.unpack_from(data, FIRST_CHUNK)
    start = FIRST_CHUNK + CHUNK.size
    if name == b"VP8 ":  # RFC 6386, 9.1: 14 bits each, behind a frame tag and a start code of three bytes
        width, height = struct.unpack_from("<HH", data, start + 6)
        return WebpHeader(width & 0x3FFF, height & 0x3FFF, 1)
    if name == b"VP8L":  # RFC 9649, 3.4: 14 bits each, behind a signature byte
        (bits,) = struct.unpack_from("<I", data, start + 1)
        return WebpHeader((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 1)
    if name == b"VP8X":  # RFC 9649, 2.7: 24 bits each, behind four bytes of flags
        width, height = (int.from_bytes(data[start + at : start + at + 3], "little") + 1 for at in (4, 7))
        exif = next((body for name, body in _chunks(data, start + length) if name == b"EXIF"), b"")
        return WebpHeader(width, height, read_orientation(exif))
    raise ValueError("it has no image")


def _chunks(data: bytes, position: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the content of each chunk from `position` on, which is odd behind an odd length."""
    for _ in range(MAX_CHUNKS):
        position += position % 2
        if position + CHUNK.size > len(data):
            return
        name, length = CHUNK.unpack_from(data, position)
        position += CHUNK.size
        yield name, data[position : position + length] if name == b"EXIF" else b""
        position += length

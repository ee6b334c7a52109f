"""The EXIF chunk of a PNG, which may stand behind its pixels, where libvips does not read it."""

import struct

from worker.decode.orientation import read_orientation

FIRST_CHUNK, CHUNK = 8, struct.Struct(">I4s")  # PNG, third edition, 5.2 and 5.3: behind the signature; a length, a name
CHECKSUM_BYTES = 4
MAX_CHUNKS = 20_000  # that are looked through: pixels are written in pieces of 8 kB and more


def orientation(data: bytes) -> int:
    """Return the EXIF orientation of the PNG `data`, 1 if it has none."""
    position = FIRST_CHUNK
    for _ in range(MAX_CHUNKS):
        if position + CHUNK.size > len(data):
            break
        length, name = CHUNK.unpack_from(data, position)
        position += CHUNK.size
        if name == b"eXIf":
            return read_orientation(data[position : position + length])
        position += length + CHECKSUM_BYTES
    return 1

"""The first directory of a TIFF: what it says of the layout of its pixels, and a file that ends after it."""

import struct
from dataclasses import dataclass

ORDERS = {b"II": "<", b"MM": ">"}
ENTRY_BYTES = 12  # TIFF 6.0, section 2: tag, type, count, value or its offset
SHORT, LONG = 3, 4  # types
FORMATS = {SHORT: "H", LONG: "I"}
BITS_PER_SAMPLE, ORIENTATION, PLANAR_CONFIGURATION, EXTRA_SAMPLES = 258, 274, 284, 338  # tags
SEPARATE = 2
ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 1, 2
MAX_STREAMED_BITS = 32  # libvips refuses larger samples


@dataclass(frozen=True)
class Directory:
    """The first value of each tag of the first directory, and the offset of what follows the directory."""

    values: dict[int, int]
    next_offset: int

    @property
    def streamed(self) -> bool:
        """Whether libvips reads such pixels: it takes separate bands for interleaved ones."""
        values = self.values
        return values.get(PLANAR_CONFIGURATION) != SEPARATE and values.get(BITS_PER_SAMPLE, 1) <= MAX_STREAMED_BITS

    @property
    def alpha(self) -> bool:
        """Whether the band after the colours is declared as transparency."""
        return self.values.get(EXTRA_SAMPLES) in (ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA)

    @property
    def associated_alpha(self) -> bool:
        """Whether the colours are already multiplied by it."""
        return self.values.get(EXTRA_SAMPLES) == ASSOCIATED_ALPHA


def read_directory(data: bytes) -> Directory:
    """Return the first directory of the TIFF `data`; raise struct.error if the file ends before it does."""
    order = ORDERS[data[:2]]
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    values = {}
    for entry in range(start + 2, start + 2 + count * ENTRY_BYTES, ENTRY_BYTES):
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
        if kind in FORMATS and length:
            first = struct.Struct(order + FORMATS[kind])
            at = entry + 8
            if first.size * length > 4:
                (at,) = struct.unpack_from(f"{order}I", data, at)
            (values[tag],) = first.unpack_from(data, at)
    return Directory(values, start + 2 + count * ENTRY_BYTES)


def first_page(data: bytes, directory: Directory) -> bytes:
    """Return `data` without its later pages: libvips would read the directories of all of them, however many."""
    end = directory.next_offset
    return data if data[end : end + 4] in (b"", bytes(4)) else data[:end] + bytes(4) + data[end + 4 :]

"""The first directory of a TIFF or BigTIFF: the layout of its pixels, and a file that ends after it."""

import struct
from dataclasses import dataclass

ORDERS = {b"II": "<", b"MM": ">"}
BIG = 43  # the version of BigTIFF, where offsets and counts have 8 bytes
SIZES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # TIFF 6.0, section 2, and BigTIFF: types of whole numbers
BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES = 258, 259, 262, 274, 277  # tags
PLANAR_CONFIGURATION, EXTRA_SAMPLES, SAMPLE_FORMAT = 284, 338, 339
SEPARATE, OLD_JPEG = 2, 6
ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 1, 2
# What libvips reads, with the codecs that it was built with.
STREAMED_BITS = (1, 2, 4, 8, 16, 32)
STREAMED_COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32946, 32773, 50001)  # none, CCITT, LZW, JPEG, Deflate, PackBits, WebP
STREAMED_PHOTOMETRICS = (0, 1, 2, 3, 5, 6)  # grey from white or black, RGB, palette, CMYK, YCbCr
UNSIGNED, FLOAT, VOID = 1, 3, 4
STREAMED_FORMATS = range(UNSIGNED, VOID + 1)  # whole numbers, floats and undefined values, not complex ones


@dataclass(frozen=True)
class Directory:
    """The first value of each tag of the first directory, and the place of the offset of the next one."""

    values: dict[int, int]
    next_offset: slice

    @property
    def streamed(self) -> bool:
        """Whether libvips reads such pixels: it takes separate bands for interleaved ones."""
        values = self.values
        return (
            (values.get(PLANAR_CONFIGURATION) != SEPARATE or values.get(SAMPLES, 1) == 1)
            and values.get(BITS_PER_SAMPLE, 1) in STREAMED_BITS
            and values.get(COMPRESSION, 1) in STREAMED_COMPRESSIONS
            and values.get(PHOTOMETRIC) in STREAMED_PHOTOMETRICS
            and values.get(SAMPLE_FORMAT, UNSIGNED) in STREAMED_FORMATS
            and not (self.associated_alpha and values.get(SAMPLE_FORMAT) == FLOAT)  # it takes their white for 255
        )

    @property
    def old_jpeg(self) -> bool:
        """Whether it is compressed by the JPEG of TIFF 6.0, section 22, whose tables may lie anywhere."""
        return self.values.get(COMPRESSION) == OLD_JPEG

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
    big = struct.unpack_from(f"{order}H", data, 2)[0] == BIG
    at, offset, count, entry = (8, "Q", "Q", "HHQ") if big else (4, "I", "H", "HHI")
    (start,) = struct.unpack_from(order + offset, data, at)
    (entries,) = struct.unpack_from(order + count, data, start)
    first = start + struct.calcsize(order + count)
    head, place = struct.Struct(order + entry), struct.calcsize(order + offset)
    end = first + entries * (head.size + place)
    struct.unpack_from(order + offset, data, end - place)  # the directory is whole
    values = {}
    for position in range(first, end, head.size + place):
        tag, kind, length = head.unpack_from(data, position)
        if kind not in SIZES or not length:
            continue
        value = struct.Struct(order + SIZES[kind])
        where = position + head.size
        if value.size * length > place:
            (where,) = struct.unpack_from(order + offset, data, where)
        if where + value.size <= len(data):  # a broken tag is no reason to refuse good pixels
            (values[tag],) = value.unpack_from(data, where)
    return Directory(values, slice(end, end + place))


def first_page(data: bytes, directory: Directory) -> bytes:
    """Return `data` without its later pages: libvips would read the directories of all of them, however many."""
    offset = data[directory.next_offset]
    if not any(offset):
        return data
    return data[: directory.next_offset.start] + bytes(len(offset)) + data[directory.next_offset.stop :]

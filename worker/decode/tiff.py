"""The first directory of a TIFF or BigTIFF: the layout of its pixels, and a file that ends after it."""

import struct
from dataclasses import dataclass

ORDERS = {b"II": "<", b"MM": ">"}
BIG = 43  # the version of BigTIFF, where offsets and counts have 8 bytes
SIZES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # TIFF 6.0, section 2, and BigTIFF: types of whole numbers
BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES = 258, 259, 262, 274, 277  # tags
PLANAR_CONFIGURATION, EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING = 284, 338, 339, 530
SEPARATE, OLD_JPEG, JPEG, YCBCR = 2, 6, 7, 6
ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 1, 2
# What libvips reads, with the codecs that it was built with.
STREAMED_BITS = (1, 2, 4, 8, 16, 32)
STREAMED_COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32946, 32773, 50001)  # none, CCITT, LZW, JPEG, Deflate, PackBits, WebP
STREAMED_PHOTOMETRICS = (0, 1, 2, 3, 5, 6)  # grey from white or black, RGB, palette, CMYK, YCbCr
# The tags that pixels and their colours need. An odd value of another one is no damage, but an error to libvips.
PIXEL_TAGS = frozenset((
    *range(256, 260), 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 332, 338, 339,
    347, 529, 530, 532, 32997, 32998, 34675,
))  # fmt: skip
DEFINED = {ORIENTATION: range(1, 9), PLANAR_CONFIGURATION: (1, SEPARATE)}  # their values; others mean DEFAULT
DEFAULT = 1
UNSIGNED, FLOAT, VOID = 1, 3, 4
STREAMED_FORMATS = range(UNSIGNED, VOID + 1)  # whole numbers, floats and undefined values, not complex ones


@dataclass(frozen=True)
class Directory:
    """The first value of each tag of the first directory, 1 for one that is not DEFINED, and YCbCr's subsampling.

    `count`, `pixels` and `next_offset` are the places of the number of its entries, of those of PIXEL_TAGS, and of the
    offset of the next directory; `odd` has the right bytes for the offset of each value that is not DEFINED.
    """

    values: dict[int, int]
    subsampling: tuple[int, int]
    count: slice
    pixels: list[slice]
    next_offset: slice
    odd: dict[int, bytes]

    @property
    def streamed(self) -> bool:
        """Whether libvips reads such pixels: it takes separate bands for interleaved ones."""
        values = self.values
        return (
            (values.get(PLANAR_CONFIGURATION) != SEPARATE or values.get(SAMPLES, 1) == 1)
            and values.get(BITS_PER_SAMPLE, 1) in STREAMED_BITS
            and values.get(COMPRESSION, 1) in STREAMED_COMPRESSIONS
            and values.get(PHOTOMETRIC) in STREAMED_PHOTOMETRICS
            and not self.whole_ycbcr
            and values.get(SAMPLE_FORMAT, UNSIGNED) in STREAMED_FORMATS
            and not (self.associated_alpha and values.get(SAMPLE_FORMAT) == FLOAT)  # it takes their white for 255
        )

    @property
    def whole_ycbcr(self) -> bool:
        """Whether every pixel has a Cb and a Cr of its own, which libvips takes for green and blue."""
        uncoded = self.values.get(PHOTOMETRIC) == YCBCR and self.values.get(COMPRESSION) != JPEG
        return uncoded and self.subsampling == (1, 1)

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
    values, subsampling, pixels, odd = {}, (2, 2), [], {}
    for position in range(first, end, head.size + place):
        tag, kind, length = head.unpack_from(data, position)
        if tag in PIXEL_TAGS:
            pixels.append(slice(position, position + head.size + place))
        if kind not in SIZES or not length:
            continue
        value = struct.Struct(order + SIZES[kind])
        where = position + head.size
        if tag == SUBSAMPLING and value.size * length <= place and length > 1:
            subsampling = struct.unpack_from(order + 2 * SIZES[kind], data, where)
        if value.size * length > place:
            (where,) = struct.unpack_from(order + offset, data, where)
        if where + value.size <= len(data):  # a broken tag is no reason to refuse good pixels
            (values[tag],) = value.unpack_from(data, where)
            if values[tag] not in DEFINED.get(tag, (values[tag],)):
                values[tag], odd[where] = DEFAULT, value.pack(DEFAULT)
    return Directory(values, subsampling, slice(start, first), pixels, slice(end, end + place), odd)


def first_page(data: bytes, directory: Directory) -> bytes:
    """Return `data` without its later pages, and with DEFAULT for values that are not DEFINED.

    libvips would read the directories of all pages, however many, and tifffile takes such values for others.
    """
    following = len(data[directory.next_offset])
    changed = directory.odd | {directory.next_offset.start: bytes(following)}
    if all(data.startswith(values, where) for where, values in changed.items()):
        return data
    mended = bytearray(data)
    for where, values in changed.items():
        mended[where : where + len(values)] = values
    return bytes(mended)


def pixels_alone(data: bytes, directory: Directory) -> bytes:
    """Return the first page `data` with PIXEL_TAGS alone in its directory."""
    start, kept = directory.count.start, directory.pixels
    number = len(kept).to_bytes(directory.count.stop - start, "little" if data[:2] == b"II" else "big")
    entries = b"".join([number, *(data[place] for place in kept), bytes(len(data[directory.next_offset]))])
    return (
        data if entries == data[start : start + len(entries)] else data[:start] + entries + data[start + len(entries) :]
    )

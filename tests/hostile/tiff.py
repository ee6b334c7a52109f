"""Hostile TIFFs, after TIFF 6.0 and its Technical Note 1 (SubIFDs)."""

import lzma
import struct
from collections.abc import Sequence
from functools import partial

from tests.hostile import PERHAPS, UNFIT, UNKNOWN_TYPE, Case, deflated_zeros

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 274, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 317, 322, 323, 324, 325
SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT, EXIF_IFD = 330, 338, 339, 34665
WIDE_TAGS = {WIDTH, LENGTH, STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES, SUB_IFDS, EXIF_IFD}
NONE, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
LZMA, ZSTD, JPEG_2000, LERC = 34925, 50000, 34712, 34887
GREY, RGB = 1, 2
SHORT, LONG = 3, 4
DATA = 8  # offset of the pixel data, right after the header
Tags = dict[int, Sequence[int]]


def directory(tags: Tags, offset: int, following: int = 0) -> bytes:
    """Return the image file directory of `tags` at `offset`, with values too long for it after it."""
    after = offset + 2 + 12 * len(tags) + 4
    entries, more = bytearray(), bytearray()
    for tag, values in sorted(tags.items()):
        kind, letter = (LONG, "I") if tag in WIDE_TAGS else (SHORT, "H")
        raw = struct.pack(f"<{len(values)}{letter}", *values)
        if len(raw) > 4:
            raw, more = struct.pack("<I", after + len(more)), more + raw
        entries += struct.pack("<HHI", tag, kind, len(values)) + raw.ljust(4, b"\0")
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + more


def tiff(tags: Tags, data: bytes = bytes(8)) -> bytes:
    """Return a TIFF of one image; `data` lies at DATA."""
    data += b"\0" * (len(data) % 2)
    start = DATA + len(data)
    return b"II*\0" + struct.pack("<I", start) + data + directory(tags, start)


def image(width: int, height: int, bits: int = 8, samples: int = 1, **more: Sequence[int]) -> Tags:
    """Return the tags of an image in one strip at DATA; `more` tags are spelled as above, in lower case."""
    tags: Tags = {
        WIDTH: [width], LENGTH: [height], BITS: [bits] * samples, COMPRESSION: [NONE],
        PHOTOMETRIC: [GREY if samples == 1 else RGB], STRIP_OFFSETS: [DATA], SAMPLES: [samples],
        ROWS_PER_STRIP: [height], STRIP_BYTES: [min(width * height * samples * bits // 8, (1 << 32) - 1)],
    }  # fmt: skip
    if samples > 3:
        tags[EXTRA_SAMPLES] = [2] * (samples - 3)
    return tags | {globals()[name.upper()]: values for name, values in more.items()}


def packed(width: int, height: int, bits: int = 8, samples: int = 1, **more: Sequence[int]) -> bytes:
    """Return a black image in one Deflate strip."""
    data = deflated_zeros(width * height * samples * bits // 8)
    return tiff(image(width, height, bits, samples, **more) | {COMPRESSION: [DEFLATE], STRIP_BYTES: [len(data)]}, data)


def several(tag: int, count: int, height: int = 1) -> bytes:
    """Return an image of 1 x `height` whose `tag` has `count` values instead of one."""
    tags = image(1, height, 16, 3)
    return tiff(tags | {tag: [tags.get(tag, [1])[0]] * count})


def claimed(tag: int, count: int) -> bytes:
    """Return an image whose `tag` claims `count` values, which the file does not hold."""
    whole = tiff(image(4, 4), bytes(16))
    entry = whole.index(struct.pack("<HH", tag, LONG if tag in WIDE_TAGS else SHORT), DATA)
    return whole[: entry + 4] + struct.pack("<II", count, DATA) + whole[entry + 12 :]


def tiled(width: int, height: int, side: int, bits: int = 8, packed_bytes: int | None = None) -> bytes:
    """Return an image whose tiles of `side` x `side` all point at the same Deflate block."""
    data = deflated_zeros(side * side * bits // 8 if packed_bytes is None else packed_bytes)
    count = -(-width // side) * -(-height // side)
    tags = image(width, height, bits)
    for tag in (STRIP_OFFSETS, STRIP_BYTES, ROWS_PER_STRIP):
        del tags[tag]
    tiles = {TILE_WIDTH: [side], TILE_LENGTH: [side], TILE_OFFSETS: [DATA] * count, TILE_BYTES: [len(data)] * count}
    return tiff(tags | {COMPRESSION: [DEFLATE]} | tiles, data)


def one_tile(side: int, compression: int) -> bytes:
    """Return an image of one pixel in a tile of `side` x `side`, which the file does not hold."""
    tags: Tags = {TILE_WIDTH: [side], TILE_LENGTH: [side], TILE_OFFSETS: [DATA], TILE_BYTES: [8]}
    rest = {tag: values for tag, values in image(1, 1).items() if tag not in (STRIP_OFFSETS, STRIP_BYTES)}
    return tiff(rest | tags | {COMPRESSION: [compression]})


def shared_strips(count: int, unpacked: int) -> bytes:
    """Return an image of one row in each of `count` strips, all the same block of far more than a row."""
    data = deflated_zeros(unpacked)
    tags = image(8, count, compression=[DEFLATE], rows_per_strip=[1])
    return tiff(tags | {STRIP_OFFSETS: [DATA] * count, STRIP_BYTES: [len(data)] * count}, data)


def overlapping_strips(count: int, size: int) -> bytes:
    """Return an uncompressed image of `count` rows, each in a strip that claims all `size` bytes of data."""
    tags = image(8, count, rows_per_strip=[1])
    return tiff(tags | {STRIP_OFFSETS: range(DATA, DATA + count), STRIP_BYTES: [size] * count}, bytes(size + count))


def pages(count: int) -> bytes:
    """Return `count` images of one pixel, which share their pixel."""
    start, page = DATA + 8, directory(image(1, 1), 0)[:-4]  # no value is too long for its entry
    size = len(page) + 4
    following = (start + (number + 1) * size if number + 1 < count else 0 for number in range(count))
    found = b"".join(page + struct.pack("<I", offset) for offset in following)
    return b"II*\0" + struct.pack("<I", start) + bytes(8) + found


def looping(tag: int | None = None) -> bytes:
    """Return an image whose directory follows itself, or points at itself by `tag`."""
    tags = image(4, 4) | ({} if tag is None else {tag: [DATA + 16]})
    return b"II*\0" + struct.pack("<I", DATA + 16) + bytes(16) + directory(tags, DATA + 16, DATA + 16 if not tag else 0)


def many_entries(count: int) -> bytes:
    """Return an image with `count` private tags."""
    return tiff(image(4, 4) | {40_000 + number: [1] for number in range(count)}, bytes(16))


def larger_parts(compression: int, data: bytes) -> bytes:
    """Return an image of 64 x 64 pixels of 12 bits in two bands, each in a strip of `data`."""
    tags = image(64, 64, 12, 2, planar=[2], compression=[compression])
    return tiff(tags | {STRIP_OFFSETS: [DATA] * 2, STRIP_BYTES: [len(data)] * 2, EXTRA_SAMPLES: [0]}, data)


def big_tiff_of(entries: int) -> bytes:
    """Return a BigTIFF whose directory claims `entries`."""
    return b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, entries) + bytes(64)


def big_tiff() -> bytes:
    return b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + struct.pack("<Q", (1 << 64) - 1) + bytes(64)


ZSTD_FRAME = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 60) + bytes(64)  # RFC 8878, 3.1.1
J2K_START = b"\xff\x4f\xff\x51" + struct.pack(">HHIIII", 47, 0, (1 << 31) - 1, (1 << 31) - 1, 0, 0) + bytes(64)
LERC_START = b"Lerc2 " + struct.pack("<iIII", 4, 0, (1 << 31) - 1, (1 << 31) - 1) + bytes(64)
ONE_VALUE = (BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, ROWS_PER_STRIP, PLANAR, PREDICTOR, SAMPLE_FORMAT, ORIENTATION)
TAG_CASES = (
    Case("16 widths, 4 million rows", partial(several, WIDTH, 16, 4_000_000)),
    Case("200 widths, 400,000 rows", partial(several, WIDTH, 200, 400_000)),
    Case("60,000 lengths", partial(several, LENGTH, 60_000), PERHAPS),
    *(Case(f"tag {tag} with 60,000 values", partial(several, tag, 60_000), PERHAPS) for tag in ONE_VALUE),
    *(
        Case(f"tag {tag} claims 4 billion values", partial(claimed, tag, (1 << 32) - 1), PERHAPS)
        for tag in (WIDTH, BITS, STRIP_OFFSETS)
    ),
    Case("25,000 private tags", partial(many_entries, 25_000), PERHAPS),
    Case("a directory that follows itself", looping, PERHAPS),
    Case("a SubIFD that is itself", partial(looping, SUB_IFDS), PERHAPS),
    Case("an EXIF directory that is itself", partial(looping, EXIF_IFD), PERHAPS),
    Case("100,000 pages", partial(pages, 100_000), PERHAPS),
    Case("65,535 samples a pixel", partial(packed, 1, 1, 8, 65_535), PERHAPS),
    Case("a BigTIFF of no end", big_tiff, frozenset({UNKNOWN_TYPE, UNFIT})),
    Case("a BigTIFF of 2^64 tags", partial(big_tiff_of, (1 << 64) - 1)),
    Case("a BigTIFF of 2^32 tags", partial(big_tiff_of, 1 << 32)),
    Case("a BigTIFF that starts at its end", lambda: b"II+\0" + struct.pack("<HHQ", 8, 0, (1 << 64) - 1)),
    Case("an empty directory", partial(tiff, {})),
)
LAYOUT_CASES = (
    Case("64 shared tiles, one pixel wide", partial(tiled, 1, 64 * 4096, 4096), PERHAPS),
    Case("48 shared tiles of 16 bits, one pixel wide", partial(tiled, 1, 48 * 4096, 4096, 16), PERHAPS),
    Case("15,000 shared tiles of 16 bits, one pixel wide", partial(tiled, 1, 15_000 * 4096, 4096, 16), PERHAPS),
    Case(
        "4,000 shared tiles of 16 x 16 that unpack to 16 MB each", partial(tiled, 16, 64_000, 16, 8, 1 << 24), PERHAPS
    ),
    Case("a pixel in a tile of 65,520 x 65,520", partial(one_tile, 65_520, DEFLATE)),
    Case("a pixel in an uncompressed tile of 65,520 x 65,520", partial(one_tile, 65_520, NONE), PERHAPS),
    Case("4,000 shared strips that unpack to 16 MB each", partial(shared_strips, 4_000, 1 << 24), PERHAPS),
    Case("100,000 overlapping strips of 4 MB", partial(overlapping_strips, 100_000, 4 << 20), PERHAPS),
    Case("strips of 16 MB of Deflate for 6 KB", lambda: larger_parts(DEFLATE, deflated_zeros(1 << 24))),
    Case("strips of 16 MB of LZMA for 6 KB", lambda: larger_parts(LZMA, lzma.compress(bytes(1 << 24))), PERHAPS),
    Case("strips of ZSTD that claim 2^60 bytes", lambda: larger_parts(ZSTD, ZSTD_FRAME)),
    Case("strips of JPEG 2000 that claim 2^62 pixels", lambda: larger_parts(JPEG_2000, J2K_START)),
    Case("strips of LERC that claim 2^62 pixels", lambda: larger_parts(LERC, LERC_START)),
    Case("64 megapixels of 12 bits", partial(packed, 8_000, 8_000, 12), PERHAPS),
    Case("64 megapixels of Lab", partial(packed, 8_000, 8_000, 8, 3, photometric=[8]), PERHAPS),
    Case("a strip that unpacks to 2 GB", partial(shared_strips, 1, 2 << 30), PERHAPS),
    Case("256 megapixels of 16 bits", partial(packed, 16_000, 16_000, 16)),
    Case("256 megapixels by their header", lambda: tiff(image(16_000, 16_000))),
    Case("2^32 x 2^32 pixels", lambda: tiff(image((1 << 32) - 1, (1 << 32) - 1))),
    Case("60 million columns, one row", partial(packed, 60_000_000, 1), PERHAPS),
    Case("60 million rows, one column", partial(packed, 1, 60_000_000), PERHAPS),
    Case("64 megapixels of 4 x 16 bits", partial(packed, 8_000, 8_000, 16, 4), PERHAPS),
    Case("64 megapixels of 64-bit numbers", partial(packed, 8_000, 8_000, 64, 1, sample_format=[3]), PERHAPS),
    Case("64 megapixels in PackBits, cut short", lambda: tiff(image(8_000, 8_000, compression=[PACKBITS]))),
    Case("64 megapixels in LZW, cut short", lambda: tiff(image(8_000, 8_000, compression=[LZW]))),
)
CASES = TAG_CASES + LAYOUT_CASES

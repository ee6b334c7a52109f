"""Hostile PNGs, after the PNG specification (third edition)."""

import struct
import zlib
from functools import partial

from tests.hostile import NEVER, PERHAPS, Case, deflated_zeros

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
# Adam7: first column and row, and the steps between columns and rows, of each pass.
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
SIDE = 8_000  # 64 megapixels, the default limit


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def header(width: int, height: int, colour: int = GREY, bits: int = 8, interlaced: bool = False) -> bytes:
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced))


def unpacked_size(width: int, height: int, colour: int, bits: int, interlaced: bool) -> int:
    """Return the bytes of all rows, each with the byte of its filter."""
    pixel = SAMPLES[colour] * bits
    steps = PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in steps]
    return sum(rows * (1 + -(-columns * pixel // 8)) for columns, rows in sizes if columns > 0 and rows > 0)


def png(
    width: int = 1, height: int = 1, colour: int = GREY, bits: int = 8, interlaced: bool = False,
    before: bytes = b"", surplus: int = 0,
) -> bytes:  # fmt: skip
    """Return a whole black PNG, with chunks `before` its pixels, and `surplus` zeros after them in the same stream."""
    pixels = deflated_zeros(unpacked_size(width, height, colour, bits, interlaced) + surplus)
    return header(width, height, colour, bits, interlaced) + before + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def palette(side: int) -> bytes:
    return png(side, side, PALETTE, before=chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(256)))


def profile(size: int) -> bytes:
    return png(before=chunk(b"iCCP", b"bomb\0\0" + deflated_zeros(size)))


def text(size: int) -> bytes:
    return png(before=chunk(b"zTXt", b"Comment\0\0" + deflated_zeros(size)))


def unicode_text(size: int) -> bytes:
    return png(before=chunk(b"iTXt", b"Comment\0\1\0\0\0" + deflated_zeros(size)))


def many_chunks(name: bytes, data: bytes, count: int) -> bytes:
    return png(before=chunk(name, data) * count)


def many_data_chunks(count: int) -> bytes:
    pixels = deflated_zeros(unpacked_size(1, 1, GREY, 8, False))
    empty = chunk(b"IDAT", b"") * count
    return header(1, 1) + empty + chunk(b"IDAT", pixels) + empty + chunk(b"IEND", b"")


def changed(name: bytes) -> bytes:
    """Return a PNG whose chunk `name` has a wrong CRC."""
    whole = bytearray(png(64, 64, RGB))
    start = whole.index(name)
    (length,) = struct.unpack(">I", whole[start - 4 : start])
    whole[start + 4 + length] ^= 0xFF
    return bytes(whole)


def cut(side: int) -> bytes:
    whole = png(side, side, RGBA)
    return whole[: len(whole) // 2]


def animated(frames: int) -> bytes:
    control = struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 100, 0, 0)
    before = chunk(b"acTL", struct.pack(">II", frames, 0)) + chunk(b"fcTL", control) * frames
    return png(before=before)


CASES = (
    Case("64 megapixels of RGBA", partial(png, SIDE, SIDE, RGBA), PERHAPS),
    Case("64 megapixels of RGBA, 4 at once", partial(png, SIDE, SIDE, RGBA), PERHAPS, at_once=4),
    Case("64 megapixels of RGBA in 16 bits", partial(png, SIDE, SIDE, RGBA, 16), PERHAPS),
    Case("64 megapixels of grey and alpha in 16 bits", partial(png, SIDE, SIDE, GREY_ALPHA, 16), PERHAPS),
    Case("64 megapixels of a palette with tRNS", partial(palette, SIDE), PERHAPS),
    Case("64 megapixels of RGBA, interlaced", partial(png, SIDE, SIDE, RGBA, 8, True), PERHAPS),
    Case("64 megapixels of RGBA in 16 bits, interlaced", partial(png, SIDE, SIDE, RGBA, 16, True), PERHAPS),
    Case("64 megapixels of one bit", partial(png, SIDE, SIDE, GREY, 1), PERHAPS),
    Case("60 million columns", partial(png, 60_000_000, 1, RGBA), PERHAPS),
    Case("60 million rows", partial(png, 1, 60_000_000, RGBA), PERHAPS),
    Case("400 megapixels of one bit", partial(png, 20_000, 20_000, GREY, 1)),
    Case("2^31 x 2^31 pixels", lambda: header((1 << 31) - 1, (1 << 31) - 1, RGBA, 16) + chunk(b"IDAT", bytes(64))),
    Case("no pixels at all", lambda: header(0, 0) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")),
    Case("64 megapixels cut short", partial(cut, SIDE)),
    Case("64 megapixels, the header alone", lambda: header(SIDE, SIDE, RGBA)),
    Case("a colour profile that unpacks to 1 GB", partial(profile, 1 << 30), PERHAPS),
    Case("a text that unpacks to 1 GB", partial(text, 1 << 30), PERHAPS),
    Case("a Unicode text that unpacks to 1 GB", partial(unicode_text, 1 << 30), PERHAPS),
    Case("100 texts that unpack to 10 MB each", lambda: png(before=text_chunks(100, 10 << 20)), PERHAPS),
    Case("1 million texts", partial(many_chunks, b"tEXt", b"a\0b", 1_000_000), PERHAPS),
    Case("1 million unknown chunks", partial(many_chunks, b"juNk", b"", 1_000_000), PERHAPS),
    Case("2 million empty data chunks", partial(many_data_chunks, 1_000_000), PERHAPS),
    Case("an EXIF chunk of 30 MB", lambda: png(before=chunk(b"eXIf", b"II*\0" + bytes(30 << 20))), PERHAPS),
    Case("4 GB after one pixel", partial(png, surplus=4 << 30), PERHAPS),
    Case("500,000 animation frames", partial(animated, 500_000), PERHAPS),
    Case("a wrong CRC of the header", partial(changed, b"IHDR"), NEVER),
    Case("a wrong CRC of the pixels", partial(changed, b"IDAT"), PERHAPS),
    Case("a palette image without a palette", partial(png, 64, 64, PALETTE)),
)


def text_chunks(count: int, size: int) -> bytes:
    return chunk(b"zTXt", b"Comment\0\0" + deflated_zeros(size)) * count

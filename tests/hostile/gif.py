"""Hostile GIFs, after the GIF89a specification and its variable-length-code LZW."""

import struct
from functools import partial

from tests.hostile import NEVER, PERHAPS, Case

LARGEST, SIDE = 65_535, 8_000
LONGEST_CODE, FULL = 12, 4096


def run(pixels: int, code_bits: int = 2) -> bytes:
    """Return the LZW codes of `pixels` pixels of colour 0: each code is the run before it and one pixel more.

    Once the table is full, its last code, a run of some 4,000 pixels, goes on for ever.
    """
    clear = 1 << code_bits
    number, position, width = clear, code_bits + 1, code_bits + 1
    code, table, run_length = 0, clear + 2, 1
    while pixels > 0:
        number |= code << position
        position += width
        pixels -= run_length
        if table < FULL:
            code, run_length, table = table, run_length + 1, table + 1
            width = min(LONGEST_CODE, (table - 1).bit_length() if table - 1 >= 1 << width else width)
    number |= (clear + 1) << position
    return number.to_bytes((position + width + 7) // 8, "little")


def blocks(data: bytes) -> bytes:
    """Return `data` in sub-blocks of at most 255 bytes, with their terminator."""
    parts = (data[start : start + 255] for start in range(0, len(data), 255))
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def screen(width: int, height: int) -> bytes:
    """Return the signature and a logical screen with a global table of four colours."""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x81, 0, 0) + bytes(12)


def frame(width: int, height: int, data: bytes, left: int = 0, code_bits: int = 2) -> bytes:
    return b"," + struct.pack("<HHHHB", left, 0, width, height, 0) + bytes([code_bits]) + blocks(data)


def gif(width: int, height: int, *frames: bytes, before: bytes = b"") -> bytes:
    return screen(width, height) + before + b"".join(frames) + b";"


def black(width: int, height: int) -> bytes:
    return frame(width, height, run(width * height))


PIXEL = black(1, 1)
CASES = (
    Case(
        "a pixel on a screen of 65,535 x 65,535", partial(gif, LARGEST, LARGEST, PIXEL), PERHAPS
    ),  # libvips decodes its frame alone
    Case("a pixel on a screen of 64 megapixels", partial(gif, SIDE, SIDE, PIXEL), PERHAPS),
    Case("64 megapixels", lambda: gif(SIDE, SIDE, black(SIDE, SIDE)), PERHAPS),
    Case("64 megapixels, 4 at once", lambda: gif(SIDE, SIDE, black(SIDE, SIDE)), PERHAPS, at_once=4),
    Case("20 frames of 64 megapixels", lambda: gif(SIDE, SIDE, *[black(SIDE, SIDE)] * 20), PERHAPS),
    Case("1 million frames", lambda: gif(1, 1, *[PIXEL] * 1_000_000), PERHAPS),
    Case("a frame larger than its screen", lambda: gif(1, 1, frame(LARGEST, LARGEST, run(1_000_000)))),
    Case("a frame beside its screen", lambda: gif(4, 4, frame(4, 4, run(16), left=60_000)), PERHAPS),
    Case("64 megapixels cut short", lambda: gif(SIDE, SIDE, frame(SIDE, SIDE, run(1_000))), PERHAPS),
    Case("comments of 30 MB", lambda: gif(4, 4, black(4, 4), before=b"!\xfe" + blocks(bytes(30 << 20))), PERHAPS),
    Case("5 million extensions", lambda: gif(4, 4, black(4, 4), before=b"!\xf9\x04\0\0\0\0\0" * 4_000_000), PERHAPS),
    Case("30 MB of no blocks", lambda: gif(4, 4, black(4, 4), before=bytes(30 << 20)), PERHAPS),
    Case(
        "10 million extensions without a part", lambda: gif(4, 4, black(4, 4), before=b"!\xf9\0" * 10_000_000), PERHAPS
    ),
    Case(
        "an extension of 15 million parts",
        lambda: gif(4, 4, black(4, 4), before=b"!\xff" + b"\1a" * 15_000_000 + b"\0"),
        PERHAPS,
    ),
    Case("codes of 12 bits", lambda: gif(4, 4, frame(4, 4, bytes(64), code_bits=12)), PERHAPS),
    Case("codes of no bits", lambda: gif(4, 4, frame(4, 4, bytes(64), code_bits=0)), PERHAPS),
    Case("codes that are not in the table", lambda: gif(64, 64, frame(64, 64, b"\xff" * 4_096)), PERHAPS),
    Case("no frame", partial(gif, 4, 4), NEVER),
    Case("no screen", lambda: b"GIF89a", NEVER),
)

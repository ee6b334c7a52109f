"""Hostile WebPs, after RFC 9649: its container (section 2) and its lossless bitstream (section 3)."""

import struct
from collections.abc import Iterable
from functools import partial

from tests.hostile import NEVER, PERHAPS, Case

LARGEST = 16_383  # of width and height in both bitstreams
SIDE = 8_000
ICC, ALPHA, ANIMATION = 0x20, 0x10, 0x02  # flags of VP8X


def bits(*fields: tuple[int, int]) -> bytes:
    """Return the fields (value, number of bits), the least significant bit first."""
    number, position = 0, 0
    for value, length in fields:
        number |= value << position
        position += length
    return number.to_bytes(-(-position // 8), "little")


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def lossless(width: int, height: int) -> bytes:
    """Return a VP8L chunk of one colour: each of its five prefix codes has one symbol, so no pixel takes a bit."""
    one_symbol = ((1, 1), (0, 1), (0, 1), (0, 1))  # a simple code, one symbol, of one bit: 0
    no_options = ((0, 1), (0, 1), (0, 1))  # transforms, colour cache, meta prefix codes
    size = ((width - 1, 14), (height - 1, 14), (1, 1), (0, 3))  # alpha is used; version 0
    return chunk(b"VP8L", b"\x2f" + bits(*size, *no_options, *(one_symbol * 5)) + bytes(4))


def lossy(width: int, height: int) -> bytes:
    """Return a VP8 chunk (RFC 6386, 9.1) of a key frame with this size, and hardly any data."""
    frame = (16 << 5 | 1 << 4).to_bytes(3, "little")  # 16 bytes of the first partition; shown; version 0; key frame
    return chunk(b"VP8 ", frame + b"\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(64))


def canvas(width: int, height: int, flags: int) -> bytes:
    return chunk(b"VP8X", bits((flags, 8), (0, 24), (width - 1, 24), (height - 1, 24)))


def frame(width: int, height: int) -> bytes:
    place = bits((0, 24), (0, 24), (width - 1, 24), (height - 1, 24), (40, 24), (0, 8))
    return chunk(b"ANMF", place + lossless(width, height))


def animation(width: int, height: int, frames: Iterable[bytes]) -> bytes:
    return riff(canvas(width, height, ALPHA | ANIMATION), chunk(b"ANIM", bytes(6)), *frames)


def pixel_frames(count: int) -> list[bytes]:
    return [frame(1, 1)] * count


def with_chunk(name: bytes, size: int, flags: int) -> bytes:
    return riff(canvas(4, 4, flags), chunk(name, bytes(size)), lossless(4, 4))


def wrong_length(length: int) -> bytes:
    whole = riff(lossless(4, 4))
    return whole[:4] + struct.pack("<I", length) + whole[8:]


CASES = (
    Case("268 megapixels", lambda: riff(lossless(LARGEST, LARGEST))),
    Case("64 megapixels", lambda: riff(lossless(SIDE, SIDE)), PERHAPS),
    Case("64 megapixels, 4 at once", lambda: riff(lossless(SIDE, SIDE)), PERHAPS, at_once=4),
    Case("16,383 x 3,900 pixels", lambda: riff(lossless(LARGEST, 3_900)), PERHAPS),
    Case("268 megapixels, lossy, of 100 bytes", lambda: riff(lossy(LARGEST, LARGEST))),
    Case("64 megapixels, lossy, of 100 bytes", lambda: riff(lossy(SIDE, SIDE)), PERHAPS),
    Case("a pixel on a canvas of 268 megapixels", lambda: animation(LARGEST, LARGEST, pixel_frames(1))),
    Case("a pixel on a canvas of 2^48", lambda: animation(1 << 24, 1 << 24, pixel_frames(1))),
    Case("a pixel on a canvas of 64 megapixels", lambda: animation(SIDE, SIDE, pixel_frames(1)), PERHAPS),
    Case("300,000 frames of a pixel", lambda: animation(1, 1, pixel_frames(300_000)), PERHAPS),
    Case("1,000 frames of 64 megapixels", lambda: animation(SIDE, SIDE, [frame(SIDE, SIDE)] * 1_000), PERHAPS),
    Case("a frame larger than its canvas", lambda: animation(1, 1, [frame(LARGEST, LARGEST)])),
    Case("a canvas other than its image", lambda: riff(canvas(4, 4, ALPHA), lossless(LARGEST, LARGEST))),
    Case("a colour profile of 30 MB", partial(with_chunk, b"ICCP", 30 << 20, ICC), PERHAPS),
    Case("an unknown chunk of 30 MB", partial(with_chunk, b"JUNK", 30 << 20, 0), PERHAPS),
    Case("1 million unknown chunks", lambda: riff(canvas(4, 4, 0), chunk(b"JUNK", b"") * 1_000_000, lossless(4, 4)),
         PERHAPS),
    Case("a length of 4 GB", partial(wrong_length, (1 << 32) - 2), PERHAPS),
    Case("a length of none", partial(wrong_length, 0), PERHAPS),
    Case("no image", lambda: riff(), NEVER),
)  # fmt: skip

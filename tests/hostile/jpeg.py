"""Hostile JPEGs, after ITU-T T.81, and Exif 2.3 and ICC.1 for what their APP segments hold."""

import struct
from collections.abc import Sequence
from functools import partial

from tests import images
from tests.hostile import NEVER, PERHAPS, Case
from tests.hostile.tiff import EXIF_IFD, directory, looping

LARGEST, SIDE = 65_500, 8_000  # libjpeg's own limit; 64 megapixels, the default limit
BASELINE, EXTENDED, PROGRESSIVE, LOSSLESS, ARITHMETIC = 0xC0, 0xC1, 0xC2, 0xC3, 0xC9
JPEG_LS, PRECISION = 0xF7, 4  # the latter after the marker of a frame
TABLES, RESTARTS, QUANTISERS, COMMENT, SCAN = 0xC4, 0xDD, 0xDB, 0xFE, 0xDA
END_OF_BANDS = 0xE0  # T.81, G.1.2.2: a run of 2^14 empty blocks and as many more as the 14 bits after it say


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def start(width: int, height: int, kind: int, components: int = 1, sampling: int = 0x11) -> bytes:
    """Return everything before the first scan; each Huffman table has one symbol, whose code is the bit 0."""
    described = b"".join(bytes([number + 1, sampling, 0]) for number in range(components))
    return b"".join([
        b"\xff\xd8",
        segment(QUANTISERS, b"\0" + b"\1" * 64),
        segment(kind, struct.pack(">BHHB", 8, height, width, components) + described),
        segment(TABLES, b"\x00\x01" + bytes(15) + b"\0"),  # DC: a difference of 0
        segment(TABLES, b"\x10\x01" + bytes(15) + (bytes([END_OF_BANDS]) if kind == PROGRESSIVE else b"\0")),
    ])  # fmt: skip


def scan(data: bytes, components: int = 1, first: int = 0, last: int = 63) -> bytes:
    chosen = b"".join(bytes([number + 1, 0]) for number in range(components))
    return segment(SCAN, bytes([components]) + chosen + bytes([first, last, 0])) + data


def grey(width: int, height: int, kind: int = BASELINE, components: int = 1) -> bytes:
    """Return a whole JPEG of one level: every coefficient is 0."""
    blocks = -(-width // 8) * -(-height // 8) * components
    return start(width, height, kind, components) + scan(bytes(-(-blocks * 2 // 8)), components) + b"\xff\xd9"


def many_scans(side: int, count: int) -> bytes:
    """Return a progressive JPEG with `count` scans of the other coefficients, each a few bytes for all blocks."""
    blocks = (-(-side // 8)) ** 2
    runs, rest = divmod(blocks, 0x7FFE)  # 14 bits, not all ones: no byte needs stuffing
    numbers = [0x3FFE] * runs + [0] * -(-rest // 0x4000)
    text = "".join(f"0{number:014b}" for number in numbers)
    bits = text.ljust(-(-len(text) // 8) * 8, "0")
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    first = scan(bytes(-(-blocks // 8)), last=0)
    return start(side, side, PROGRESSIVE) + first + scan(packed, first=1) * count + b"\xff\xd9"


def with_segments(*segments: bytes) -> bytes:
    """Return a small whole JPEG with `segments` after its first marker."""
    whole = grey(64, 64)
    return whole[:2] + b"".join(segments) + whole[2:]


def profile(count: int, claimed: int) -> bytes:
    """Return a JPEG with `count` parts of a colour profile, each of which claims that there are `claimed`."""
    parts = (b"ICC_PROFILE\0" + bytes([number % 255 + 1, claimed]) + bytes(65_000) for number in range(count))
    return with_segments(*(segment(0xE2, part) for part in parts))


def exif(data: bytes) -> bytes:
    return with_segments(segment(0xE1, b"Exif\0\0" + data))


def deep_exif(depth: int) -> bytes:
    """Return Exif directories inside each other."""
    size = len(directory({EXIF_IFD: [0]}, 0))
    inside = (directory({EXIF_IFD: [8 + (number + 1) * size]}, 8 + number * size) for number in range(depth))
    return b"II*\0\x08\0\0\0" + b"".join(inside)


def claiming(count: int) -> bytes:
    """Return an Exif directory whose one entry claims `count` values."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x9286, 12, count, 8, 0)


def cut(data: bytes, part: float) -> bytes:
    return data[: int(len(data) * part)]


def photograph(mode: str = "RGB", size: tuple[int, int] = (1_600, 1_200), **options: object) -> bytes:
    return images.encoded(images.photo(size).convert(mode), "JPEG", **options)


def scanned(kind: int, count: int) -> bytes:
    """Return a JPEG of 64 megapixels whose only scan has `count` bytes."""
    return only_start(SIDE, SIDE, (kind,)) + scan(bytes(count)) + b"\xff\xd9"


def deep(data: bytes) -> bytes:
    """Return the JPEG `data` with 12 bits a sample by its header."""
    frames = [data.find(bytes([0xFF, kind, 0])) for kind in (BASELINE, EXTENDED)]
    at = max(frames) + PRECISION
    return data[:at] + b"\x0c" + data[at + 1 :]


def only_start(width: int, height: int, kinds: Sequence[int] = (BASELINE,), **more: int) -> bytes:
    return b"".join(start(width, height, kind, **more) for kind in kinds)


CASES = (
    Case("100 scans of 64 megapixels", partial(many_scans, SIDE, 100), PERHAPS),
    Case("2,000 scans of 16 megapixels", partial(many_scans, 4_000, 2_000), PERHAPS),
    Case("100,000 scans of 64 x 64 pixels", partial(many_scans, 64, 100_000), PERHAPS),
    Case("65,500 x 65,500 pixels by the header", partial(only_start, LARGEST, LARGEST)),
    Case("65,500 x 65,500 pixels and a scan", lambda: only_start(LARGEST, LARGEST) + scan(bytes(1_000))),
    Case("64 megapixels, the header alone", partial(only_start, SIDE, SIDE)),
    Case("64 megapixels, the first rows alone", lambda: only_start(SIDE, SIDE) + scan(bytes(1_000))),
    Case("64 megapixels, progressive, cut short", lambda: cut(many_scans(SIDE, 1), 0.5)),
    Case("64 megapixels of CMYK", partial(grey, SIDE, SIDE, BASELINE, 4), PERHAPS),
    Case("64 megapixels of CMYK, 4 at once", partial(grey, SIDE, SIDE, BASELINE, 4), PERHAPS, at_once=4),
    Case("65,500 x 970 pixels", partial(grey, LARGEST, 970), PERHAPS),
    Case("970 x 65,500 pixels", partial(grey, 970, LARGEST), PERHAPS),
    Case("a lossless JPEG", partial(only_start, SIDE, SIDE, (LOSSLESS,))),
    Case("an arithmetic JPEG", partial(only_start, SIDE, SIDE, (ARITHMETIC,))),
    Case("a lossless JPEG and a scan", partial(scanned, LOSSLESS, 1_000), PERHAPS),
    Case("64 megapixels of 12 bits", lambda: deep(grey(SIDE, SIDE, EXTENDED)), PERHAPS),
    Case("64 megapixels of 12 bits, 4 at once", lambda: deep(grey(SIDE, SIDE, EXTENDED)), PERHAPS, at_once=4),
    Case("64 megapixels of 12 bits, the header alone", lambda: deep(scanned(BASELINE, 0)), PERHAPS),
    Case("64 megapixels of JPEG-LS, the header alone", partial(scanned, JPEG_LS, 0)),
    Case("64 megapixels without an end", lambda: grey(SIDE, SIDE)[:-2], PERHAPS),
    Case("64 megapixels in progressive scans without an end", lambda: many_scans(SIDE, 20)[:-2], PERHAPS),
    Case("30 MB of zeros in place of its end", lambda: grey(SIDE, SIDE)[:-2] + bytes(30 << 20), PERHAPS),
    Case("frames of all kinds", partial(only_start, SIDE, SIDE, (BASELINE, EXTENDED, PROGRESSIVE))),
    Case("sampling of 4 x 4", partial(only_start, SIDE, SIDE, components=4, sampling=0x44)),
    Case("7 million empty segments", lambda: with_segments(segment(0xE1, b"") * 7_000_000), PERHAPS),
    Case("450 segments of 64 KB", lambda: with_segments(segment(0xE1, bytes(65_000)) * 450), PERHAPS),
    Case("450 comments of 64 KB", lambda: with_segments(segment(COMMENT, bytes(65_000)) * 450), PERHAPS),
    Case("400,000 quantisers", lambda: with_segments(segment(QUANTISERS, b"\0" + b"\1" * 64) * 400_000), PERHAPS),
    Case("a restart interval of one", lambda: with_segments(segment(RESTARTS, b"\0\1")), PERHAPS),
    Case("30 MB of fill bytes", lambda: with_segments(b"\xff" * (30 << 20)), PERHAPS),
    Case("255 parts of a colour profile", partial(profile, 255, 255), PERHAPS),
    Case("400 parts of a colour profile of one", partial(profile, 400, 1), PERHAPS),
    Case("Exif that is its own directory", lambda: exif(looping(EXIF_IFD)), PERHAPS),
    Case("Exif that follows itself", lambda: exif(looping()), PERHAPS),
    Case("Exif 3,000 directories deep", lambda: exif(deep_exif(3_000)), PERHAPS),
    Case("Exif of 4 billion values", lambda: exif(claiming((1 << 32) - 1)), PERHAPS),
    Case("a photograph cut short", lambda: cut(photograph(), 0.5)),
    Case("a progressive photograph cut short", lambda: cut(photograph(progressive=True), 0.5)),
    Case("a CMYK photograph cut short", lambda: cut(photograph("CMYK"), 0.5)),
    Case("the start marker", lambda: b"\xff\xd8\xff", NEVER),
)

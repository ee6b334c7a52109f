"""Hostile BMPs and AVIFs, and files of types that are not served, polyglots and rubbish among them."""

import gzip
import io
import random
import struct
import zipfile
from functools import partial

from tests import images
from tests.hostile import BAD, NEVER, PERHAPS, UNFIT, UNKNOWN_TYPE, Case, png

NOT_SERVED = frozenset({UNKNOWN_TYPE})
UNKNOWN_OR_UNFIT = frozenset({UNKNOWN_TYPE, UNFIT})
RLE8 = 1
FAST = {"preset": "ultrafast"}  # of the HEVC encoder: a seventh of its time, for a file as large


def bmp(width: int, height: int, bits: int = 24, compression: int = 0, data: bytes = b"", colours: int = 0) -> bytes:
    """Return a BMP with a BITMAPINFOHEADER (40 bytes)."""
    start = 14 + 40 + 4 * (256 if bits == 8 else 0)
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + bytes(start - 54) + data


def avif(width: int = 64, height: int = 64, claimed: tuple[int, int] | None = None) -> bytes:
    """Return an AVIF; `claimed` replaces the size in its ispe box."""
    whole = images.encoded(images.photo((width, height)), "AVIF")
    if claimed is None:
        return whole
    size = whole.index(b"ispe") + 8
    return whole[:size] + struct.pack(">II", *claimed) + whole[size + 8 :]


def heic(width: int = 64, height: int = 64, claimed: tuple[int, int] | None = None, **options: int) -> bytes:
    """Return a HEIC; `claimed` replaces the size in each ispe box."""
    whole = images.encoded(images.photo((width, height)), "HEIC", enc_params=FAST, **options)
    if claimed is None:
        return whole
    parts = whole.split(b"ispe")
    return b"ispe".join([parts[0], *(part[:4] + struct.pack(">II", *claimed) + part[12:] for part in parts[1:])])


def heic_boxes(count: int) -> bytes:
    """Return a HEIC whose meta box claims `count` items, which it does not hold."""
    whole = heic()
    items = whole.index(b"iinf") + 8
    return whole[:items] + struct.pack(">H", count) + whole[items + 2 :]


def nested_boxes(depth: int) -> bytes:
    """Return an AVIF whose meta box holds boxes inside boxes."""
    inside = b""
    for _ in range(depth):
        inside = struct.pack(">I", len(inside) + 8) + b"iprp" + inside
    meta = struct.pack(">I", len(inside) + 12) + b"meta" + bytes(4) + inside
    return avif()[:32] + meta


def many_boxes(count: int) -> bytes:
    return avif()[:32] + (struct.pack(">I", 8) + b"free") * count


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb", bytes(10 << 20))
    return stream.getvalue()


def svg(depth: int) -> bytes:
    """Return an SVG of entities inside entities, ten of the one before in each."""
    lines = [f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, depth)]
    text = f"<!DOCTYPE svg [<!ENTITY e0 'x'>{''.join(lines)}]><svg><text>&e{depth - 1};</text></svg>"
    return text.encode()


def photograph() -> bytes:
    return images.encoded(images.photo(), "JPEG")


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


# File signatures that a library which recognises types by itself would follow.
FOREIGN = {
    "SVG of a billion entities": svg(9),
    "SVG that reads a file": b'<svg><image href="file:///etc/passwd" width="9" height="9"/></svg>',
    "SVG in gzip": gzip.compress(b"<svg/>", mtime=0),
    "PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(x)>>>>endobj",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n{} loop",
    "portable pixmap of 10^18 pixels": b"P6 1000000000 1000000000 255\n",
    "portable pixmap as text": b"P3 1 1 255\n1 1 1\n",
    "Radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 100000 +X 100000\n",
    "FITS": b"SIMPLE  =                    T".ljust(2880),
    "the native format of libvips": struct.pack("<I", 0xB6A6F208) + struct.pack("<II", 100_000, 100_000) + bytes(64),
    "Photoshop": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3),
    "icon": b"\0\0\1\0\1\0" + bytes(16),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
    "JPEG XL": b"\xff\x0a" + bytes(64),
    "OpenEXR": b"\x76\x2f\x31\x01" + bytes(64),
    "HDF5, as MATLAB has it": b"\x89HDF\r\n\x1a\n" + bytes(64),
    "ELF": b"\x7fELF" + bytes(64),
    "HTML": b"<html><script>alert(1)</script></html>",
    "text": b"This is no image.",
    "one byte": b"\xff",
    "30 MB of zeros": bytes(30 << 20),
    "a signature behind a space": b" " + png.png(),
}
BMP_AND_AVIF = (
    Case("a BMP of 2^62 pixels", partial(bmp, (1 << 31) - 1, (1 << 31) - 1)),
    Case("a BMP of negative size", partial(bmp, -(1 << 31), -(1 << 31))),
    Case("a BMP of 64 megapixels by its header", partial(bmp, 8_000, 8_000)),
    Case("a BMP of 64 megapixels in runs, cut short", partial(bmp, 8_000, 8_000, 8, RLE8, b"\xff\0" * 1_000), PERHAPS),
    Case("a BMP of 64 megapixels that ends at once", partial(bmp, 8_000, 8_000, 8, RLE8, b"\0\1"), PERHAPS),
    Case("a BMP of 64 megapixels in jumps", partial(bmp, 8_000, 8_000, 8, RLE8, b"\0\2\0\xff" * 30_000), PERHAPS),
    Case("a BMP of 2^32 colours", partial(bmp, 4, 4, 8, 0, bytes(16), (1 << 32) - 1), PERHAPS),
    Case("a BMP of 7 bits a pixel", partial(bmp, 4, 4, 7, 0, bytes(16))),
    Case("a BMP without a header", lambda: b"BM", NEVER),
    Case("an AVIF of 2^62 pixels", partial(avif, claimed=((1 << 31) - 1, (1 << 31) - 1))),
    Case("an AVIF of 256 megapixels", partial(avif, claimed=(16_000, 16_000))),
    Case("an AVIF cut short", lambda: avif()[:-200]),
    Case("an AVIF of 100,000 boxes inside each other", partial(nested_boxes, 5_000)),
    Case("an AVIF of 1 million boxes", partial(many_boxes, 1_000_000)),
    Case("an AVIF without boxes", lambda: avif()[:32], NEVER),
    Case("a masked BMP of 64 megapixels by its header", partial(bmp, 8_000, 8_000, 32, 3, b"\0\0\xe0\xff" * 4)),
    Case("a masked BMP of 2^62 pixels", partial(bmp, (1 << 31) - 1, (1 << 31) - 1, 16, 3, b"\0\0\xe0\xff" * 4)),
)
HEIC = (
    Case("a HEIC of 2^62 pixels", partial(heic, claimed=((1 << 31) - 1, (1 << 31) - 1))),
    Case("a HEIC of 256 megapixels by its header", partial(heic, claimed=(16_000, 16_000))),
    Case("a HEIC of 60 megapixels by its header", partial(heic, claimed=(10_000, 6_000)), PERHAPS),
    Case("a HEIC of 12 megapixels, 4 at once", partial(heic, 4_000, 3_000, quality=97), PERHAPS, at_once=4),
    Case("a HEIC of 400 tiles", partial(heic, 1_600, 1_000, tile_size=64), PERHAPS),
    Case("a HEIC cut short", lambda: heic()[:-200]),
    Case("a HEIC of 65,535 items", partial(heic_boxes, 65_535)),
    Case("a HEIC of 1 million boxes", lambda: heic()[:32] + (struct.pack(">I", 8) + b"free") * 1_000_000),
    Case("a HEIC that is an AVIF", lambda: heic().replace(b"hvcC", b"av1C").replace(b"hvc1", b"av01")),
    Case("a HEIC without boxes", lambda: heic()[:32], NEVER),
)
POLYGLOTS = (
    Case("a JPEG that is an archive, too", lambda: photograph() + archive(), PERHAPS),
    Case("a JPEG that is a page, too", lambda: photograph() + b"<script>alert(1)</script>", PERHAPS),
    Case("a GIF that is a script, too", lambda: b"GIF89a=1;alert(1)//" + bytes(64), NEVER),
    Case("a PNG within a JPEG", lambda: photograph()[:200] + png.png()),
    Case("a TIFF of a JPEG's bytes", lambda: b"II*\0" + photograph(), NEVER),
    Case("a WebP of a PNG's bytes", lambda: b"RIFF\xff\xff\xff\xffWEBP" + png.png(), NEVER),
)
RUBBISH = (
    Case("nothing", lambda: b"", frozenset({BAD})),
    *(Case(name, lambda data=data: data, NOT_SERVED) for name, data in FOREIGN.items()),  # type: ignore[misc]
    *(Case(f"noise of {1 << size} bytes", partial(noise, 1 << size), UNKNOWN_OR_UNFIT) for size in (3, 10, 20)),
    Case("noise after a JPEG's start", lambda: b"\xff\xd8\xff\xe0" + noise(1 << 16), NEVER),
    Case("noise after a PNG's start", lambda: png.SIGNATURE + noise(1 << 16), NEVER),
    Case("noise after a TIFF's start", lambda: b"II*\0" + noise(1 << 16), PERHAPS),
)
CASES = BMP_AND_AVIF + HEIC + POLYGLOTS + RUBBISH

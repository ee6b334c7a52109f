"""Image files of every served type, damaged in their bytes and built wrongly from valid parts."""

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from hypothesis import strategies as st

from tests import images
from tests.fuzz import Check, worker_app
from tests.fuzz.mutation import varied as vary
from tests.hostile import gif, jpeg, other, png, tiff, webp

__all__ = ["examples", "opened", "vary"]

SIZE = (24, 17)
DEEP = np.arange(17 * 24, dtype=np.uint16).reshape(17, 24) * 10
COMPRESSIONS = ("tiff_lzw", "packbits", "jpeg", "tiff_adobe_deflate")
KINDS = (jpeg.BASELINE, jpeg.PROGRESSIVE, jpeg.EXTENDED, jpeg.ARITHMETIC)
CHUNKS = [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"gAMA", b"acTL", b"IEND"]
RIFF_CHUNKS = [b"ALPH", b"ICCP", b"EXIF", b"ANIM", b"ANMF", b"VP8 ", b"VP8L"]
NUMBERS = st.integers(0, 40) | st.sampled_from([255, 256, 65_535, 1 << 16, (1 << 31) - 1, (1 << 32) - 1])
TAGS = sorted({value for name, value in vars(tiff).items() if name.isupper() and type(value) is int and value > 200})


def seeds() -> list[bytes]:
    """Return small files of every type and variant."""
    photo = images.photo(SIZE)
    plain = [images.encoded(photo.convert(mode), kind) for kind in images.SERVED for mode in ("RGB", "L")]
    more = [images.with_metadata_or_frames(kind) for kind in images.SERVED]
    more += [images.encoded(photo.convert("RGBA"), kind) for kind in ("PNG", "WebP", "TIFF", "AVIF")]
    more += [images.encoded(photo, "JPEG", progressive=True), images.encoded(photo.convert("CMYK"), "JPEG")]
    more += [images.encoded(photo, "TIFF", compression=name) for name in COMPRESSIONS]
    more += [images.encoded(photo.convert("P"), "PNG"), images.several_jpegs(photo), tiff.tiled(40, 40, 16)]
    more += [png.png(*SIZE, png.RGBA, 16, True), webp.animation(4, 4, webp.pixel_frames(3)), jpeg.many_scans(64, 4)]
    more += [gif.gif(9, 9, gif.black(9, 9)), other.bmp(9, 9, 8, other.RLE8, b"\t\0\0\1"), other.avif(9, 9)]
    more += [images.encoded(photo.convert("RGBA"), "HEIC"), images.encoded(photo, "HEIC", tile_size=16)]
    more += [images.encoded(photo, "TIFF", big_tiff=True), tiff.packed(9, 9, 12)]
    more += [tiff.packed(9, 9, 8, 3, photometric=[8])]
    more += [
        bytes(imagecodecs.jpeg_encode(DEEP, bitspersample=12)),
        bytes(imagecodecs.jpeg_encode(DEEP, lossless=True)),
    ]
    more += [bytes(imagecodecs.jpegls_encode(DEEP))]
    more += [other.bmp(9, 9, 32, 3, struct.pack("<4I", 255, 255 << 8, 255 << 16, 0))]
    more += [tiff_of(compression) for compression in ("zstd", "lzma", "lerc", "jpeg2000")]
    more += [tiff.pages(3), tiff.looping(), tiff.looping(tiff.SUB_IFDS), jpeg.exif(jpeg.deep_exif(3)), png.profile(99)]
    return plain + more


def tiff_of(compression: str) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, DEEP, compression=compression)
    return stream.getvalue()


def examples() -> st.SearchStrategy[bytes]:
    return st.sampled_from(seeds()) | tiffs() | pngs() | riffs() | jpegs()


def tiffs() -> st.SearchStrategy[bytes]:
    """Build TIFFs from any tags, with any number of values each."""
    values = st.lists(NUMBERS.map(lambda number: number & 0xFFFF), min_size=1, max_size=9)
    wrong = st.dictionaries(st.sampled_from(TAGS), values, max_size=5)
    sides = st.integers(1, 40)
    whole = st.builds(tiff.image, sides, sides, st.sampled_from([1, 8, 16, 32, 64]), st.integers(1, 5))
    return st.builds(lambda tags, more, data: tiff.tiff(tags | more, data), whole, wrong, st.binary(max_size=200))


def pngs() -> st.SearchStrategy[bytes]:
    """Build PNGs from chunks with right checksums and any content."""
    data = st.binary(max_size=60) | st.binary(max_size=200).map(zlib.compress)
    chunks = st.lists(st.builds(png.chunk, st.sampled_from(CHUNKS), data), max_size=6)
    colours, bits = st.sampled_from([0, 2, 3, 4, 6]), st.sampled_from([1, 2, 8, 16])
    header = st.builds(png.header, NUMBERS, NUMBERS, colours, bits, st.booleans())
    return st.builds(lambda start, rest: start + b"".join(rest), header, chunks)


def riffs() -> st.SearchStrategy[bytes]:
    """Build WebPs from chunks with right lengths."""
    sides = st.integers(1, 40) | st.just(webp.LARGEST)
    parts = st.one_of(
        *(st.builds(make, sides, sides) for make in (webp.lossless, webp.lossy, webp.frame)),
        st.builds(webp.canvas, sides, sides, st.integers(0, 255)),
        st.builds(webp.chunk, st.sampled_from(RIFF_CHUNKS), st.binary(max_size=60)),
    )
    return st.lists(parts, max_size=5).map(lambda chunks: webp.riff(*chunks))


def jpegs() -> st.SearchStrategy[bytes]:
    """Build JPEGs from segments in any order."""
    sides, kinds = st.integers(0, 80), st.sampled_from(KINDS)
    part = st.one_of(
        st.builds(jpeg.start, sides, sides, kinds, st.integers(1, 4), st.sampled_from([0x11, 0x22, 0x41, 0x44])),
        st.builds(jpeg.segment, st.integers(0xC0, 0xFE), st.binary(max_size=60)),
        st.builds(jpeg.scan, st.binary(max_size=60), st.integers(1, 4), st.integers(0, 63), st.integers(0, 63)),
    )
    start = st.builds(jpeg.start, sides, sides, kinds, st.integers(1, 4))
    return st.builds(lambda first, rest: first + b"".join(rest) + b"\xff\xd9", start, st.lists(part, max_size=6))


def opened(folder: Path) -> Check:
    post = worker_app.opened(folder)
    for seed in seeds():  # the first image of some types imports its decoder
        post("/predict", seed, {"Content-Type": "application/octet-stream"})
    return lambda data: post("/predict", data, {"Content-Type": "application/octet-stream"})

"""Images that trouble decoders, as encoded bytes, each built from its format's definition or by Pillow."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2  # PNG specification, table 11.1: colour types
UPRIGHT_TO_STORED = {  # by EXIF orientation: how to store an image so that the orientation turns it upright again
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {}, "GIF": {}, "BMP": {}, "TIFF": {}, "WebP": {"lossless": True},
}  # fmt: skip
LOSSY: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95}, "AVIF": {"quality": 90}, "HEIC": {"quality": 90}}
SERVED = LOSSLESS | LOSSY
PILLOW_NAMES = {"HEIC": "HEIF"}  # where they are not the kind itself

pillow_heif.register_heif_opener()


def photo(size: tuple[int, int] = (61, 47), seed: int = 3) -> Image.Image:
    """Return an image of smooth colours that differ in every corner; `size` is (width, height)."""
    corners = np.random.default_rng(seed).integers(0, 255, (4, 5, 3)).astype(np.uint8)
    return Image.fromarray(corners).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return `image` as a file of format `kind`, one of SERVED."""
    stream = io.BytesIO()
    image.save(stream, PILLOW_NAMES.get(kind, kind), **(SERVED[kind] | options))
    return stream.getvalue()


def turned(image: Image.Image, orientation: int, kind: str = "PNG") -> bytes:
    """Return `image` as a camera held at EXIF `orientation` stores it."""
    transposition = UPRIGHT_TO_STORED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = image if transposition is None else image.transpose(transposition)
    return turned_heic(stored, exif) if kind == "HEIC" else encoded(stored, kind, exif=exif)


def turned_heic(stored: Image.Image, exif: Image.Exif) -> bytes:
    """Return a HEIC with the orientation of `exif` in its own properties as well, as phones write it."""
    file, stream = pillow_heif.from_pillow(stored), io.BytesIO()
    file.info["exif"] = exif.tobytes()
    file.save(stream, **SERVED["HEIC"])
    return stream.getvalue()


def oriented_with_a_broken_tag(image: Image.Image) -> bytes:
    """Return a JPEG of orientation 6 whose EXIF also has a comment of an invalid type."""
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHIf", 0x9286, 11, 1, 1.5)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    transposition = UPRIGHT_TO_STORED[6]
    assert transposition is not None
    complete = encoded(image.transpose(transposition), "JPEG")
    return complete[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + complete[2:]


def several_jpegs(image: Image.Image) -> bytes:
    """Return a Multi-Picture (MPO) file, as phones write it: `image`, then the same upside down."""
    stream = io.BytesIO()
    image.save(stream, "MPO", save_all=True, append_images=[image.rotate(180)])
    return stream.getvalue()


def animation(*frames: Image.Image, kind: str = "GIF") -> bytes:
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=40, loop=0)


def half_transparent(mode: str, colour: tuple[int, int, int], size: tuple[int, int] = (40, 40)) -> bytes:
    """Return a PNG of `mode` whose left half is `colour` and whose right half is fully transparent."""
    image = Image.new("RGBA", size, (*colour, 255))
    image.paste((0, 0, 0, 0), (size[0] // 2, 0, *size))
    if mode == "P":
        palette = Image.new("P", size, 0)
        palette.putpalette([*colour, 0, 0, 0])
        palette.paste(1, (size[0] // 2, 0, *size))
        return encoded(palette, "PNG", transparency=1)
    if mode == "RGB":  # one colour of the image is declared transparent
        return encoded(image.convert("RGB"), "PNG", transparency=(0, 0, 0))
    return encoded(image.convert(mode), "PNG")


def grey_16_bit(levels: np.ndarray) -> bytes:
    """Return a grey PNG of 16 bits; `levels` is uint16 [height, width]."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    return png(levels.shape[1], levels.shape[0], GREY, 16, zlib.compress(rows))


def colour_16_bit(levels: np.ndarray) -> bytes:
    """Return an RGB PNG of 16 bits; `levels` is uint16 [height, width, 3]."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    return png(levels.shape[1], levels.shape[0], RGB, 16, zlib.compress(rows))


def bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """Return a PNG of a few KB whose header claims `width` x `height`; it holds only 1 MB of pixel data, all zero."""
    return png(width, height, GREY, 1, zlib.compress(bytes(1 << 20), 9))


def complete_bomb(side: int = 20_000) -> bytes:
    """Return a complete black PNG of `side` x `side` pixels, about a thousandth of its unpacked size."""
    packer = zlib.compressobj(9)
    row = bytes(1 + -(-side // 8))
    return png(side, side, GREY, 1, packer.compress(row * side) + packer.flush())


def text_bomb() -> bytes:
    """Return a small PNG with a compressed text that unpacks to 64 MB."""
    text = b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9)
    return png(1, 1, GREY, 8, zlib.compress(b"\0\0"), _chunk(b"zTXt", text))


def png(width: int, height: int, colour: int, bits: int, pixels: bytes, before: bytes = b"") -> bytes:
    """Return a PNG with this header and compressed `pixels`; the chunks `before` precede them."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [_chunk(b"IHDR", header), before, _chunk(b"IDAT", pixels), _chunk(b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(parts)


def with_metadata_or_frames(kind: str) -> bytes:
    """Return an image of `kind` that holds more than pixels, if the format can: EXIF or several frames."""
    if kind == "GIF":
        return animation(photo(), photo().rotate(90))
    return encoded(photo(), kind) if kind == "BMP" else turned(photo(), 6, kind)


def damaged(complete: bytes, count: int, seed: int = 1) -> Iterator[bytes]:
    """Yield `count` variants of `complete`: cut short, or with a few bytes changed, anywhere or near the start."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        if number % 3 == 0:
            yield complete[: int(rng.integers(1, len(complete)))]
            continue
        changed = bytearray(complete)
        limit = len(complete) if number % 3 == 1 else min(len(complete), 160)
        for position in rng.integers(0, limit, rng.integers(1, 9)):
            changed[position] = rng.integers(0, 256)
        yield bytes(changed)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

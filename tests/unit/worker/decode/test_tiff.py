"""TIFFs of every layout, sample and compression that their writers choose: the pixels, or the true reason."""

import io
import itertools
import lzma
import math
import struct
import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from tests import images
from tests.errors import error_of
from tests.hostile import tiff as layout
from worker.contract.errors import ErrorCode
from worker.decode import Geometry, Pixels, decode

HEIGHT, WIDTH = 48, 64
AS_IT_IS = Geometry((HEIGHT, WIDTH), None, "bilinear")
RAMP = np.tile(np.linspace(0, 1, WIDTH), (HEIGHT, 1))[..., np.newaxis] * np.linspace(0.5, 1, 3)
COLOURS = np.rint(RAMP * 255)
LOSSLESS = ("packbits", "lzw", "deflate", "adobe_deflate", "lzma", "zstd", "lerc", "jpeg2000")
LAYOUTS: list[dict[str, Any]] = [{}, {"tile": (16, 16)}, {"rowsperstrip": 7}, {"bigtiff": True}]
COMPRESSION, PHOTOMETRIC, PLANAR, SUBSAMPLING = 259, 262, 284, 530  # tags


def seen(data: bytes, **options: Any) -> np.ndarray:
    return decode(data, AS_IT_IS, **options).astype(int)


def stored(kind: Any, top: float | None = None) -> np.ndarray:
    """Return the ramp [H, W, 3] in the range of `kind`, or from 0 to `top`."""
    if np.dtype(kind).kind == "f":
        return RAMP.astype(kind)
    limits = np.iinfo(kind)
    low, high = (limits.min, int(limits.max)) if top is None else (0, int(top))
    return (low + np.rint(RAMP * (high - low))).astype(kind)


def tiff(values: np.ndarray, planar: str = "contig", **options: Any) -> bytes:
    """Return `values` [H, W, 3] as a TIFF of colours, or [H, W] as one of grey."""
    stream = io.BytesIO()
    colours = {"photometric": "rgb", "planarconfig": planar} if values.ndim > 2 else {"photometric": "minisblack"}
    laid = np.moveaxis(values, -1, 0) if planar == "separate" else values
    tifffile.imwrite(stream, laid, **(colours | options))
    return stream.getvalue()


def with_tag(data: bytes, tag: int, value: int) -> bytes:
    """Return the TIFF `data` with another `value` of a short `tag`."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        offset = file.pages.first.tags[tag].valueoffset
    return data[:offset] + value.to_bytes(2, "little") + data[offset + 2 :]


@pytest.mark.parametrize("options", LAYOUTS)
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", LOSSLESS)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_every_compression_gives_the_pixels(kind: Any, compression: str, planar: str, options: dict[str, Any]) -> None:
    found = seen(tiff(stored(kind), planar, compression=compression, **options))
    assert np.abs(found - COLOURS).max() <= 1


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", ["lzw", "deflate", "zstd", "lzma"])
@pytest.mark.parametrize("kind", [np.int8, np.int16, np.uint32, np.float16, np.float32, np.float64])
def test_every_type_with_a_predictor_gives_the_pixels(kind: Any, compression: str, planar: str) -> None:
    found = seen(tiff(stored(kind), planar, compression=compression, predictor=True))
    assert np.abs(found - COLOURS).max() <= 1


@pytest.mark.parametrize("compression", ["jpeg", "webp"])
def test_lossy_compression_gives_nearly_the_pixels(compression: str) -> None:
    assert np.abs(seen(tiff(stored(np.uint8), compression=compression)) - COLOURS).mean() < 3


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 9, 10, 12, 14])
def test_any_number_of_bits_is_black_to_white(bits: int) -> None:
    kind = np.uint8 if bits < 8 else np.uint16
    for values in (stored(kind, 2**bits - 1), stored(kind, 2**bits - 1)[..., 2]):
        wanted = np.rint(values / (2**bits - 1) * 255)
        found = seen(tiff(values, bitspersample=bits))
        assert np.abs(found - wanted.reshape(HEIGHT, WIDTH, -1)).max() <= 1


@pytest.mark.parametrize(
    ("method", "pack"),
    [(8, zlib.compress), (5, imagecodecs.lzw_encode), (32773, imagecodecs.packbits_encode), (34925, lzma.compress)],
)
def test_12_bits_in_any_compression(method: int, pack: Callable[[bytes], bytes]) -> None:
    values = stored(np.uint16, 4095)[..., 2]
    packed = pack(bytes(imagecodecs.packints_encode(values, 12)))
    tags = layout.image(WIDTH, HEIGHT, 12, compression=[method], strip_bytes=[len(packed)])
    assert np.abs(seen(layout.tiff(tags, packed)) - COLOURS[..., 2:]).max() <= 1


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("compression", [None, "lzw", "zstd"])
def test_the_range_tells_the_values_of_16_bits_that_are_used(bits: int, compression: str | None) -> None:
    values = stored(np.uint16, 2**bits - 1)
    found = seen(tiff(values, compression=compression), pixels=Pixels(range=(0, 2**bits - 1)))
    assert np.abs(found - COLOURS).max() <= 1


def test_a_jpeg_of_12_bits_in_a_tiff() -> None:
    data = tiff(stored(np.uint16, 4095), bitspersample=12, compression="jpeg", compressionargs={"level": 98})
    assert np.abs(seen(data) - COLOURS).mean() < 2


@pytest.mark.parametrize("compression", [None, "lzw", "zstd"])
def test_a_palette_gives_its_colours(compression: str | None) -> None:
    palette = np.random.default_rng(2).integers(0, 256, (3, 256))
    indices = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 256
    for colormap in (palette * 257, palette):  # 16 bits as TIFF says, and 8 as some write it
        options: dict[str, Any] = {
            "photometric": "palette",
            "colormap": colormap.astype(np.uint16),
            "compression": compression,
        }
        found = seen(tiff(indices.astype(np.uint8), **options))
        assert np.array_equal(found, palette.T[indices])


@pytest.mark.parametrize("compression", [None, "lzw", "zstd"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_cmyk_is_shown_as_ideal_inks(planar: str, compression: str | None) -> None:
    image = Image.fromarray(COLOURS.astype(np.uint8)).convert("CMYK")
    options = {"photometric": "separated", "compression": compression}
    assert np.abs(seen(tiff(np.asarray(image), planar, **options)) - np.asarray(image.convert("RGB"))).max() <= 1


@pytest.mark.parametrize("options", LAYOUTS)
@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "zstd"])
def test_ycbcr_of_whole_colours_is_shown_as_they_are(compression: str | None, options: dict[str, Any]) -> None:
    image = images.photo((WIDTH, HEIGHT)).convert("YCbCr")
    data = tiff(np.asarray(image), photometric="ycbcr", compression=compression, **options)
    assert np.array_equal(seen(data), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(("across", "down"), [(1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4)])
def test_ycbcr_of_fewer_colours_is_shown_as_they_are(across: int, down: int) -> None:
    image = images.photo((WIDTH, HEIGHT)).convert("YCbCr")
    blocks = np.asarray(image).reshape(HEIGHT // down, down, WIDTH // across, across, 3).swapaxes(1, 2)
    light = blocks[..., 0].reshape(*blocks.shape[:2], -1)
    data = np.concatenate([light, blocks[..., 1:].mean((2, 3)).astype(np.uint8)], axis=-1).tobytes()
    tags = layout.image(WIDTH, HEIGHT, samples=3, photometric=[6], strip_bytes=[len(data)])
    found = seen(layout.tiff(tags | {SUBSAMPLING: [across, down]}, data))
    assert np.abs(found - np.asarray(image.convert("RGB"))).mean() < 8


def test_ycbcr_of_fewer_colours_in_a_compression_of_its_own_is_named() -> None:
    data = tiff(stored(np.uint8), photometric="ycbcr", compression="zstd")
    fewer = with_tag(data, SUBSAMPLING, 2)
    assert "of subsampled YCbCr colours" in error_of(seen, fewer).message


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_lab_is_shown_as_srgb(compression: str) -> None:
    image = images.photo((WIDTH, HEIGHT))
    lab, srgb = (ImageCms.createProfile(name) for name in ("LAB", "sRGB"))
    converted = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    assert converted is not None
    found = seen(images.encoded(converted, "TIFF", compression=compression))
    assert np.abs(found - np.asarray(image)).mean() < 6  # of another white point


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_colours_that_are_multiplied_by_alpha_are_divided_once(kind: Any, planar: str) -> None:
    top = 1 if kind is np.float32 else np.iinfo(kind).max
    values = np.full((HEIGHT, WIDTH, 4), (top * 0.2, top * 0.1, 0, top * 0.5), kind)
    found = seen(tiff(values, planar, extrasamples=["assocalpha"]))
    assert np.abs(found - (178, 153, 127)).max() <= 1


def test_the_first_of_several_pages_is_taken() -> None:
    pages = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue")]
    for big in (False, True):
        data = images.encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], big_tiff=big)
        assert seen(data)[0, 0].tolist() == [255, 0, 0]


def test_a_tag_that_says_too_little_of_the_bits_is_no_damage() -> None:
    data = images.encoded(images.photo((WIDTH, HEIGHT)), "TIFF")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        entry = file.pages.first.tags["BitsPerSample"].offset
    one = data[: entry + 4] + (1).to_bytes(4, "little") + (8).to_bytes(4, "little") + data[entry + 12 :]
    assert np.array_equal(seen(one), seen(data))


SHORT, ASCII, FLOAT, UNKNOWN = 3, 2, 11, 99  # types of a tag


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [
        *((274, SHORT, struct.pack("<I", value)) for value in (0, 9, 100)),  # Orientation
        *((296, SHORT, struct.pack("<I", value)) for value in (0, 9)),  # ResolutionUnit
        *((282, FLOAT, struct.pack("<f", value)) for value in (math.nan, -1)),  # XResolution
        (263, SHORT, b"\x09\0\0\0"),  # Threshholding
        (333, ASCII, b"a\0\0\0"),  # InkNames
        (334, SHORT, b"\x09\0\0\0"),  # NumberOfInks
        (65000, UNKNOWN, b"ab\0\0"),
    ],
)
@pytest.mark.parametrize("compression", [1, 50000])
def test_an_odd_tag_is_no_damage(tag: int, kind: int, value: bytes, compression: int) -> None:
    values = COLOURS.astype(np.uint8)
    data = values.tobytes() if compression == 1 else bytes(imagecodecs.zstd_encode(values.tobytes()))
    tags = layout.image(WIDTH, HEIGHT, samples=3, compression=[compression], strip_bytes=[len(data)]) | {tag: [0]}
    file = layout.tiff(tags, data)
    entry = file.rindex(struct.pack("<HHI", tag, SHORT, 1))
    odd = file[:entry] + struct.pack("<HHI", tag, kind, 1) + value + file[entry + 12 :]
    assert np.array_equal(seen(odd), values)


@pytest.mark.parametrize("compression", ["lzw", "zstd"])
@pytest.mark.parametrize("value", [0, 3])
def test_bands_are_side_by_side_unless_they_are_said_to_be_separate(value: int, compression: str) -> None:
    data = tiff(stored(np.uint8), compression=compression)
    assert np.array_equal(seen(with_tag(data, PLANAR, value)), COLOURS)


def test_the_orientation_is_read_in_every_type_and_byte_order() -> None:
    image = images.photo((WIDTH, HEIGHT))
    turned = Geometry((WIDTH, HEIGHT), None, "bilinear")
    for big, order, code in itertools.product((False, True), "<>", "HI"):
        data = tiff(np.asarray(image), bigtiff=big, byteorder=order, extratags=[(274, code, 1, 6, True)])
        assert np.array_equal(decode(data, turned), np.asarray(image.transpose(Image.Transpose.ROTATE_270)))


@pytest.mark.parametrize("compression", ["zstd", "lzma", "lzw", "jpeg2000"])
def test_what_is_cut_short_is_damaged(compression: str) -> None:
    noise = np.random.default_rng(3).integers(0, 65536, (HEIGHT, WIDTH, 3), np.uint16)
    data = tiff(noise, "separate", compression=compression)
    assert error_of(seen, data[:-40]).code is ErrorCode.UNDECODABLE


@pytest.mark.parametrize(
    ("tag", "value", "name"),
    [
        (COMPRESSION, 50002, "compressed by JPEG XL"),
        (COMPRESSION, 34661, "compressed by JBIG"),
        (COMPRESSION, 65123, "compressed by method 65123"),
        (PHOTOMETRIC, 32844, "of the colour space LOGL"),
    ],
)
def test_what_is_not_served_is_named(tag: int, value: int, name: str) -> None:
    error = error_of(seen, with_tag(tiff(stored(np.uint8)), tag, value))
    assert error.code is ErrorCode.UNSUPPORTED_COMPRESSION
    assert error.message.startswith(f"found a TIFF {name}, which is not served")


def test_more_of_jpeg_2000_than_is_decoded_in_time_is_refused_by_the_header() -> None:
    data = tiff(stored(np.uint8), compression="jpeg2000")
    for tag, side in ((256, 8_000), (257, 4_000)):
        data = with_tag(data, tag, side)
    assert error_of(seen, data).code is ErrorCode.IMAGE_TOO_COSTLY


def test_parts_that_overlap_are_refused() -> None:
    tags = layout.image(8, 100, compression=[50000], rows_per_strip=[1])
    tags |= {layout.STRIP_OFFSETS: [8] * 100, layout.STRIP_BYTES: [500] * 100}
    assert "its parts overlap" in error_of(seen, layout.tiff(tags, bytes(500))).message


def test_a_part_that_claims_more_pixels_than_its_tile_is_refused() -> None:
    small, large = (stored(np.uint16).repeat(times, 0) for times in (1, 9))
    one, other = (tiff(values, "separate", compression="jpeg2000") for values in (small, large))
    with tifffile.TiffFile(io.BytesIO(other)) as file:
        part = other[file.pages.first.dataoffsets[0] :][: file.pages.first.databytecounts[0]]
    with tifffile.TiffFile(io.BytesIO(one)) as file:
        start, count = file.pages.first.dataoffsets[0], file.pages.first.databytecounts[0]
    grown = one[:start] + part[:count].ljust(count, b"\0") + one[start + count :]
    assert "unpacks to more than it holds" in error_of(seen, grown).message

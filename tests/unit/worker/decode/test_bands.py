"""Networks of any number of channels: which bands of which image they get, and what is refused."""

import io
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests import images
from tests.errors import code_of, error_of
from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import Bounds, Geometry, Pixels, decode

HEIGHT, WIDTH = 24, 32
AS_IT_IS = Geometry((HEIGHT, WIDTH), None, "bilinear")
MANY = 10**6
RNG = np.random.default_rng(1)
PLAIN: list[dict[str, Any]] = [
    {},
    {"compression": "deflate"},
    {"compression": "deflate", "predictor": True},
    {"rowsperstrip": 5},
    {"tile": (16, 16), "compression": "deflate"},
]


def seen(data: bytes, channels: int = 3, **wanted: Any) -> np.ndarray:
    return decode(data, AS_IT_IS, pixels=Pixels(channels, **wanted))


def refusal(data: bytes, channels: int = 3, max_pixels: int = MANY) -> ErrorCode:
    return code_of(decode, data, AS_IT_IS, Bounds(max_pixels), Pixels(channels))


def tiff(values: np.ndarray, planar: str = "contig", **options: Any) -> bytes:
    """`values` [H, W, bands] as a TIFF, its bands side by side or one after the other (planar = "separate")."""
    stream = io.BytesIO()
    laid = values.squeeze() if planar == "contig" else np.moveaxis(values, -1, 0)
    layout = {"planarconfig": planar} if laid.ndim > 2 else {}
    tifffile.imwrite(stream, laid, **({"photometric": "minisblack"} | layout | options))
    return stream.getvalue()


def values(bands: int, kind: Any) -> np.ndarray:
    """Random ones of the whole range of `kind`; floats from 0 to 1."""
    shape = (HEIGHT, WIDTH, bands)
    if np.dtype(kind).kind == "f":
        return RNG.random(shape).astype(kind)
    limits = np.iinfo(kind)
    return RNG.integers(limits.min, limits.max, shape, kind, endpoint=True)


def as_bytes(stored: np.ndarray) -> np.ndarray:
    """The range of the type brought to 0..255."""
    if stored.dtype.kind == "f":
        return np.rint(stored.astype(float) * 255)
    limits = np.iinfo(stored.dtype)
    return np.rint((stored.astype(float) - limits.min) / (int(limits.max) - int(limits.min)) * 255)


# Grey


def test_a_grey_network_sees_colours_as_pillow_makes_them_grey() -> None:
    image = images.photo((WIDTH, HEIGHT))
    assert np.array_equal(seen(images.encoded(image, "PNG"), 1)[..., 0], np.asarray(image.convert("L")))
    jpeg = images.encoded(image, "JPEG")
    assert np.array_equal(seen(jpeg, 1)[..., 0], np.asarray(Image.open(io.BytesIO(jpeg)).convert("L")))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WebP"])
def test_a_grey_image_is_one_channel_or_three_alike(kind: str) -> None:
    data = images.encoded(images.photo((WIDTH, HEIGHT)).convert("L"), kind)
    grey, colour = seen(data, 1), seen(data, 3)
    assert grey.shape == (HEIGHT, WIDTH, 1)
    assert grey.dtype == np.uint8
    assert np.array_equal(grey.repeat(3, axis=-1), colour)


def test_transparency_lies_on_the_background_of_the_model() -> None:
    data = images.encoded(Image.new("RGBA", (WIDTH, HEIGHT), (200, 10, 10, 0)), "PNG")
    assert seen(data, background=(0, 20, 255))[0, 0].tolist() == [0, 20, 255]
    assert seen(data, 1, background=(10, 10, 10))[0, 0].tolist() == [10]


# Other numbers


def test_alpha_is_the_fourth_band_where_four_are_wanted() -> None:
    image = images.photo((WIDTH, HEIGHT))
    image.putalpha(images.photo((WIDTH, HEIGHT), seed=4).convert("L"))
    assert np.array_equal(seen(images.encoded(image, "PNG"), 4), np.asarray(image))


def test_each_band_is_scaled_by_itself_whatever_alpha_says() -> None:
    image = Image.fromarray(values(4, np.uint8), "RGBA")
    small = decode(images.encoded(image, "PNG"), Geometry((7, 9), None, "bicubic"), pixels=Pixels(4))
    for band, wanted in enumerate(image.split()):
        assert np.array_equal(small[..., band], np.asarray(wanted.resize((9, 7), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("options", PLAIN)
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.uint32])
def test_the_bands_of_a_tiff_come_in_their_order(planar: str, kind: Any, options: dict[str, Any]) -> None:
    stored = values(6, kind)
    assert np.array_equal(seen(tiff(stored, planar, **options), 6), as_bytes(stored))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_from_0_to_1_are_black_to_white(kind: Any) -> None:
    stored = values(5, kind)
    assert np.array_equal(seen(tiff(stored), 5), as_bytes(stored))


@pytest.mark.parametrize("order", ["<", ">"])
def test_either_order_of_bytes_is_read(order: str) -> None:
    stored = values(5, np.uint16)
    assert np.array_equal(seen(tiff(stored, byteorder=order), 5), as_bytes(stored))


def test_of_more_bands_than_are_wanted_the_first_are_taken() -> None:
    stored = values(8, np.uint16)
    assert np.array_equal(seen(tiff(stored), 5), as_bytes(stored)[..., :5])
    assert np.array_equal(seen(tiff(stored), 3), as_bytes(stored)[..., :3])
    assert np.array_equal(seen(tiff(stored), 1), as_bytes(stored)[..., :1])


def test_a_turned_tiff_of_many_bands_is_brought_upright() -> None:
    stored = values(5, np.uint16)
    data = tiff(np.rot90(stored), extratags=[(274, "H", 1, 6, True)])
    assert np.array_equal(seen(data, 5), as_bytes(stored))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64, np.uint64])
def test_separate_bands_of_any_type_are_read(kind: Any) -> None:
    stored = values(5, kind)
    assert np.abs(seen(tiff(stored, "separate"), 5) - as_bytes(stored)).max() <= 1  # 64 bits exceed a float's 53


# Wide values


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_16_bit_colours_of_a_tiff_are_scaled_and_not_cut_off(planar: str) -> None:
    stored = values(3, np.uint16)
    data = tiff(stored, planar, photometric="rgb")
    assert np.array_equal(seen(data), as_bytes(stored))
    assert np.array_equal(seen(data, 1)[..., 0], np.asarray(Image.fromarray(seen(data)).convert("L")))


@pytest.mark.parametrize(("extra", "shown"), [("unassalpha", 191), ("assocalpha", 255)])
def test_alpha_of_16_bits_lies_on_the_background_too(extra: str, shown: int) -> None:
    """Half of black over white; or of a colour that is multiplied already, and brighter than its alpha."""
    half, level = 32768, 32768
    stored = np.full((HEIGHT, WIDTH, 4), (level, level, level, half), np.uint16)
    found = seen(tiff(stored, photometric="rgb", extrasamples=[extra]))
    assert np.abs(found.astype(int) - shown).max() <= 1


def test_the_range_says_which_stored_values_are_black_and_white() -> None:
    stored = np.tile(np.linspace(0, 4095, WIDTH).astype(np.uint16), (HEIGHT, 1))[..., np.newaxis]
    wanted = np.rint(np.clip((stored.astype(float) - 1000) / 2000, 0, 1) * 255)
    many = tiff(stored.repeat(5, -1))
    assert np.array_equal(seen(many, 5, range=(1000, 3000)), wanted.repeat(5, -1))
    for grey in (tiff(stored), images.grey_16_bit(stored[..., 0])):
        assert np.array_equal(seen(grey, 1, range=(1000, 3000)), wanted)
    colours = images.colour_16_bit(stored.repeat(3, -1))
    assert np.array_equal(seen(colours, range=(1000, 3000)), wanted.repeat(3, -1))
    floats = tiff(stored.astype(np.float32))
    assert np.array_equal(seen(floats, 1, range=(1000, 3000)), wanted)


def test_the_range_leaves_bytes_and_alpha_as_they_are() -> None:
    image = images.photo((WIDTH, HEIGHT))
    assert np.array_equal(seen(images.encoded(image, "PNG"), range=(0, 100)), np.asarray(image))
    stored = np.full((HEIGHT, WIDTH, 4), (1000, 1000, 1000, 65535), np.uint16)
    data = tiff(stored, photometric="rgb", extrasamples=["unassalpha"])
    assert np.unique(seen(data, range=(0, 1000))).tolist() == [255]


def test_16_bit_pngs_with_transparency_have_a_range_too() -> None:
    for mode, deep in (("RGBA", (500, 250, 0, 65535)), ("LA", (500, 65535))):
        levels = np.full((HEIGHT, WIDTH, len(deep)), deep, np.uint16)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
        data = images.png(WIDTH, HEIGHT, {"RGBA": 6, "LA": 4}[mode], 16, zlib.compress(rows))
        found = seen(data, range=(0, 1000))[0, 0].tolist()
        assert found == {"RGBA": [128, 64, 0], "LA": [128, 128, 128]}[mode]


def test_white_is_zero_where_the_tiff_says_so() -> None:
    stored = values(1, np.uint16)
    assert np.array_equal(seen(tiff(stored, photometric="miniswhite"), 1), 255 - as_bytes(stored))
    wide = values(1, np.float64)
    assert np.array_equal(seen(tiff(wide, photometric="miniswhite"), 1), 255 - as_bytes(wide))


def test_a_wide_grey_tiff_that_pillow_unpacks_is_left_to_it() -> None:
    ramp = np.tile(np.linspace(0, 65535, WIDTH).astype(np.uint16), (HEIGHT, 1))
    data = images.encoded(Image.fromarray(ramp), "TIFF", compression="tiff_lzw")
    assert np.array_equal(seen(data, 1)[..., 0], as_bytes(ramp))


# Refusals


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 4), ("L", 2), ("RGBA", 5), ("P", 4)])
def test_an_image_with_too_few_bands_is_refused(mode: str, channels: int) -> None:
    data = images.encoded(images.photo().convert(mode), "PNG")
    assert refusal(data, channels) is ErrorCode.TOO_FEW_BANDS


def test_a_tiff_with_too_few_bands_is_refused() -> None:
    assert refusal(tiff(values(5, np.uint16)), 6) is ErrorCode.TOO_FEW_BANDS


def test_what_more_would_be_needed_to_unpack_is_refused() -> None:
    small = tiff(values(5, np.uint16), "separate", compression="deflate")
    other = small.replace((32946).to_bytes(2, "little"), (50002).to_bytes(2, "little"), 1)
    assert refusal(other, 5) is ErrorCode.UNSUPPORTED_COMPRESSION


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_the_limit_counts_the_pixels_of_all_bands_once(planar: str) -> None:
    data, count = tiff(values(6, np.uint16), planar), HEIGHT * WIDTH
    assert decode(data, AS_IT_IS, Bounds(count), Pixels(5)).shape == (HEIGHT, WIDTH, 5)
    assert refusal(data, 5, count - 1) is ErrorCode.TOO_MANY_PIXELS


@pytest.mark.parametrize("options", PLAIN)
def test_a_tiff_of_many_bands_cut_short_is_refused(options: dict[str, Any]) -> None:
    whole = tiff(values(5, np.uint16), **options)
    assert refusal(whole[:-1], 5) is ErrorCode.UNDECODABLE


def test_a_strip_of_separate_bands_that_unpacks_to_more_than_its_pixels_is_refused() -> None:
    whole = tiff(np.zeros((HEIGHT, WIDTH, 5), np.uint16), "separate", compression="deflate")
    bomb = zlib.compress(bytes(1 << 24), 9)
    with tifffile.TiffFile(io.BytesIO(whole)) as file:
        tags, (count, *_) = file.pages.first.tags, file.pages.first.databytecounts
    assert count < len(bomb)
    grown = bytearray(whole + bomb)
    for tag, value in (("StripOffsets", len(whole)), ("StripByteCounts", len(bomb))):
        size = {3: 2, 4: 4}[tags[tag].dtype]
        grown[tags[tag].valueoffset : tags[tag].valueoffset + size] = value.to_bytes(size, "little")
    assert "unpacks to more than it holds" in error_of(seen, bytes(grown), 5).message


@pytest.mark.parametrize("options", PLAIN[:2])
def test_damaged_tiffs_of_many_bands_end_in_pixels_or_a_refusal(options: dict[str, Any]) -> None:
    ends = set[object]()
    for data in images.damaged(tiff(values(5, np.uint16), **options), 200):
        try:
            ends.add(seen(data, 5).shape)
        except ServiceError as error:
            ends.add(error.code)
    refused = (
        ErrorCode.UNDECODABLE,
        ErrorCode.TOO_MANY_PIXELS,
        ErrorCode.TOO_FEW_BANDS,
        ErrorCode.UNSUPPORTED_COMPRESSION,
        ErrorCode.IMAGE_TOO_COSTLY,
    )
    whole = (HEIGHT, WIDTH, 5)
    assert ErrorCode.UNDECODABLE in ends
    assert options or whole in ends  # whatever is damaged of compressed bytes, their sum does not fit
    assert ends <= {*refused, ErrorCode.UNSUPPORTED_TYPE, whole}

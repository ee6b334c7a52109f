"""From bytes to pixels: every served format, and no file that ends in anything but pixels or a refusal."""

import resource

import numpy as np
import pytest
from PIL import Image

from tests import images
from tests.errors import code_of, error_of
from tests.hostile import png
from tests.unit.worker.decode.test_geometry import torchvisions
from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import FORMATS, MIME_TYPES, Bounds, Geometry, decode, sniff

SIDE = 32
MANY = 64_000_000
CROPPED = Geometry((SIDE, SIDE), 36, "bilinear")
WHOLE = Geometry((SIDE, SIDE), None, "bilinear")
DAMAGED_A_FORMAT = 400


def pixels(data: bytes, geometry: Geometry = CROPPED) -> np.ndarray:
    """As int, so that differences do not wrap."""
    return decode(data, geometry).astype(int)


def refusal(data: bytes, max_pixels: int = MANY) -> ErrorCode:
    return code_of(decode, data, CROPPED, Bounds(max_pixels))


# Formats


def test_what_is_served_is_what_the_tests_make() -> None:
    assert set(FORMATS) == set(images.SERVED)
    wanted = "image/jpeg image/png image/webp image/gif image/bmp image/tiff image/avif image/heic"
    assert " ".join(MIME_TYPES.values()) == wanted


@pytest.mark.parametrize("kind", images.SERVED)
def test_every_served_format_is_recognised_and_decoded(kind: str) -> None:
    image = images.photo().quantize(64).convert("RGB")  # what a GIF can hold
    data = images.encoded(image, kind)
    assert sniff(data) == kind
    assert np.abs(pixels(data) - torchvisions(image, CROPPED)).max() <= (1 if kind in images.LOSSLESS else 24)


@pytest.mark.parametrize("kind", ["PNG", "WebP", "TIFF", "JPEG", "AVIF", "HEIC"])
@pytest.mark.parametrize("orientation", images.UPRIGHT_TO_STORED)
def test_a_turned_photo_gives_the_pixels_of_the_upright_one(kind: str, orientation: int) -> None:
    image = images.photo()
    difference = np.abs(pixels(images.turned(image, orientation, kind)) - pixels(images.encoded(image, kind)))
    assert difference.max() <= (0 if kind in images.LOSSLESS else 12)


@pytest.mark.parametrize("orientation", images.UPRIGHT_TO_STORED)
def test_a_png_may_have_its_exif_after_its_pixels(orientation: int) -> None:
    """As PNG, 5.6 allows, and some encoders write it. WebPs have it there always."""
    image = images.photo()
    before = images.turned(image, orientation)
    start = before.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(before[start : start + 4], "big")
    after = before[:start] + before[end:-12] + before[start:end] + before[-12:]
    assert after.index(b"IDAT") < after.index(b"eXIf")
    assert np.array_equal(pixels(after), pixels(images.encoded(image, "PNG")))


@pytest.mark.parametrize("exif", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", bytes(9)])
def test_broken_exif_is_no_reason_to_refuse_a_png(exif: bytes) -> None:
    data = images.encoded(images.photo(), "PNG")
    for broken in (
        data[:33] + png.chunk(b"eXIf", exif) + data[33:],
        data[:-12] + png.chunk(b"eXIf", exif) + data[-12:],
    ):
        assert np.array_equal(pixels(broken), pixels(data))


def test_a_turned_photo_is_turned_even_where_another_tag_is_broken() -> None:
    image = images.photo()
    upright = pixels(images.encoded(image, "JPEG"))
    broken = images.oriented_with_a_broken_tag(image)
    assert np.abs(pixels(broken) - upright).max() <= 10


def test_a_phones_several_jpegs_in_one_file_are_the_first_of_them() -> None:
    image = images.photo()
    assert np.array_equal(pixels(images.several_jpegs(image)), pixels(images.encoded(image, "JPEG", quality=75)))


@pytest.mark.parametrize("kind", ["GIF", "WebP", "PNG"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    first, second = Image.new("RGB", (40, 40), (10, 200, 10)), Image.new("RGB", (40, 40), (200, 10, 10))
    assert np.abs(pixels(images.animation(first, second, kind=kind)) - (10, 200, 10)).max() <= 3


@pytest.mark.parametrize(
    ("mode", "seen"), [("RGBA", (200, 10, 10)), ("P", (200, 10, 10)), ("RGB", (200, 10, 10)), ("LA", (67, 67, 67))]
)
def test_what_is_transparent_lies_on_white(mode: str, seen: tuple[int, int, int]) -> None:
    found = pixels(images.half_transparent(mode, (200, 10, 10)), WHOLE)
    assert found[16, 4].tolist() == list(seen)
    assert found[16, 28].tolist() == [255, 255, 255]


def test_half_transparent_is_half_white() -> None:
    data = images.encoded(Image.new("RGBA", (40, 40), (0, 0, 0, 128)), "PNG")
    assert np.unique(pixels(data)).tolist() == [127]


def test_a_cmyk_jpeg_has_its_colours() -> None:
    data = images.encoded(Image.new("RGB", (40, 40), (220, 40, 30)).convert("CMYK"), "JPEG")
    assert np.abs(pixels(data) - (220, 40, 30)).max() <= 4


def test_a_16_bit_grey_ramp_is_scaled_and_not_clipped() -> None:
    ramp = np.tile(np.linspace(0, 65535, SIDE).astype(np.uint16), (SIDE, 1))
    found = pixels(images.grey_16_bit(ramp), WHOLE)
    assert np.abs(found - np.rint(ramp / 257)[..., np.newaxis]).max() <= 1


def test_16_bit_colours_are_scaled_and_not_clipped() -> None:
    levels = np.full((40, 40, 3), (60000, 300, 30000), np.uint16)
    assert np.abs(pixels(images.colour_16_bit(levels)) - (233, 1, 117)).max() <= 1


@pytest.mark.parametrize("top", [1, 255])
def test_a_tiff_of_floats_is_taken_as_0_to_1_or_as_0_to_255(top: float) -> None:
    ramp = np.tile(np.linspace(0, top, SIDE, dtype=np.float32), (SIDE, 1))
    found = pixels(images.encoded(Image.fromarray(ramp), "TIFF"), WHOLE)
    assert np.abs(found - np.rint(ramp * 255 / top)[..., np.newaxis]).max() <= 1


def test_a_tiff_of_floats_with_nan_and_infinity_is_decoded() -> None:
    values = np.full((SIDE, SIDE), np.nan, np.float32)
    values[:, :16] = np.inf
    assert np.unique(pixels(images.encoded(Image.fromarray(values), "TIFF"), WHOLE)).tolist() == [0, 255]


@pytest.mark.parametrize("kind", images.SERVED)
@pytest.mark.parametrize("geometry", [CROPPED, WHOLE])
def test_an_image_of_one_pixel_is_its_colour_everywhere(kind: str, geometry: Geometry) -> None:
    data = images.encoded(Image.new("RGB", (1, 1), (250, 250, 250)), kind)
    assert np.abs(pixels(data, geometry) - 250).max() <= 3


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (2, 999)])
def test_a_very_long_image_is_decoded(size: tuple[int, int]) -> None:
    assert pixels(images.encoded(images.photo(size), "PNG")).shape == (SIDE, SIDE, 3)


# Refusals


def test_an_empty_image_is_refused() -> None:
    assert refusal(b"") is ErrorCode.EMPTY_IMAGE


@pytest.mark.parametrize("data", [b"not an image", b"<svg/>", b"%PDF-1.7", b"\0", b"RIFF....WAVE", b"II*", bytes(12)])
def test_what_is_no_served_type_is_refused(data: bytes) -> None:
    assert refusal(data) is ErrorCode.UNSUPPORTED_TYPE


@pytest.mark.parametrize("data", [images.bomb(), images.complete_bomb()])
def test_a_bomb_is_refused_by_its_header(data: bytes) -> None:
    assert refusal(data) is ErrorCode.TOO_MANY_PIXELS


def test_a_bomb_is_a_few_kilobytes() -> None:
    assert len(images.bomb()) < 4096


def test_a_compressed_text_that_unpacks_to_much_is_not_unpacked() -> None:
    data = images.text_bomb()
    assert pixels(data, WHOLE).max() == 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pixels(data, WHOLE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10  # kilobytes


def test_the_limit_of_pixels_is_the_last_number_served() -> None:
    data = images.encoded(images.photo((40, 50)), "PNG")
    assert decode(data, CROPPED, Bounds(2000)).shape == (SIDE, SIDE, 3)
    assert refusal(data, 1999) is ErrorCode.TOO_MANY_PIXELS


@pytest.mark.parametrize("kind", images.SERVED)
def test_an_image_cut_short_is_refused(kind: str) -> None:
    whole = images.encoded(images.photo((200, 160)), kind)
    assert refusal(whole[: len(whole) * 2 // 3]) is ErrorCode.UNDECODABLE


@pytest.mark.parametrize("kind", images.SERVED)
def test_a_header_without_an_image_is_refused(kind: str) -> None:
    start = images.encoded(images.photo(), kind)[:12]
    assert refusal(start + b"garbage" * 20) is ErrorCode.UNDECODABLE


def test_a_damaged_header_is_refused_without_the_address_of_a_buffer() -> None:
    error = error_of(decode, images.PNG_SIGNATURE + b"garbage", CROPPED, Bounds(MANY))
    assert error.code is ErrorCode.UNDECODABLE
    assert "0x" not in error.message


@pytest.mark.parametrize("kind", images.SERVED)
def test_damaged_files_end_in_pixels_or_a_refusal(kind: str) -> None:
    whole = [images.encoded(images.photo(), kind), images.with_metadata_or_frames(kind)]
    answers = [outcome(data) for one in whole for data in images.damaged(one, DAMAGED_A_FORMAT // 2)]
    assert answers.count("refused") > DAMAGED_A_FORMAT // 10
    assert answers.count("pixels") > 0


def outcome(data: bytes) -> str:
    try:
        found = decode(data, CROPPED, Bounds(MANY))
    except ServiceError:
        return "refused"
    assert found.shape == (SIDE, SIDE, 3)
    assert found.dtype == np.uint8
    return "pixels"

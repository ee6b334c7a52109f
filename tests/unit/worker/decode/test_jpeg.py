"""JPEG by libjpeg-turbo itself: Pillow's pixels and Pillow's refusals."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from tests import images
from tests.errors import error_of
from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import Geometry, decode, jpeg, sniff

DAMAGED = 600
WHOLE = Geometry((32, 32), None, "bilinear")


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=["JPEG"])


def pillows(data: bytes) -> bytes | None:
    """The pixels that Pillow alone makes of `data`, None where it refuses it."""
    try:
        return opened(data).convert("RGB").tobytes()
    except Exception:
        return None


def found(data: bytes) -> bytes | None:
    """The pixels that are seen of `data` at its own size."""
    try:
        width, height = opened(data).size
        return decode(data, Geometry((height, width), None, "nearest"), 10**6).tobytes()
    except (ServiceError, OSError):
        return None


@pytest.mark.parametrize(
    ("subsampling", "progressive", "mode"),
    [*itertools.product(["4:4:4", "4:2:2", "4:2:0"], [False, True], ["RGB"]), (-1, False, "L"), (-1, True, "L")],
)
@pytest.mark.parametrize("size", [(64, 48), (61, 47), (1, 1), (7, 200)])
def test_the_pixels_are_pillows_bit_for_bit(
    subsampling: str | int, progressive: bool, mode: str, size: tuple[int, int]
) -> None:
    image = images.photo(size).convert(mode)
    data = images.encoded(image, "JPEG", quality=80, subsampling=subsampling, progressive=progressive)
    turbo = jpeg.decoded(data, opened(data))
    assert turbo is not None
    assert (turbo.mode, turbo.size) == (mode, size)
    assert np.array_equal(np.asarray(turbo), np.asarray(opened(data)))


def test_rgb_that_is_stored_as_rgb_is_pillows_bit_for_bit() -> None:
    data = images.encoded(images.photo(), "JPEG", keep_rgb=True)
    assert found(data) == pillows(data)


def test_what_is_neither_rgb_nor_grey_is_left_to_pillow() -> None:
    data = images.encoded(images.photo().convert("CMYK"), "JPEG")
    assert jpeg.decoded(data, opened(data)) is None


def test_a_header_that_says_less_than_there_is_takes_no_more_memory() -> None:
    """Two frame headers, the smaller last: Pillow goes by the last, libjpeg by the first."""
    large, small = (images.encoded(images.photo(size), "JPEG") for size in ((640, 480), (16, 16)))
    frame = large.index(b"\xff\xc0")
    length = int.from_bytes(large[frame + 2 : frame + 4], "big") + 2
    other = small[small.index(b"\xff\xc0") :][:length]
    both = large[: frame + length] + other + large[frame + length :]
    assert opened(both).size == (16, 16)
    assert jpeg.decoded(both, opened(both)) is None


@pytest.mark.parametrize("missing", [1, 2, 3, 40])
def test_an_image_that_lacks_its_last_bytes_is_judged_by_pillow(missing: int) -> None:
    data = images.encoded(images.photo((200, 160)), "JPEG")[:-missing]
    assert found(data) == pillows(data)


def test_damaged_images_are_what_pillow_makes_of_them() -> None:
    whole = [images.encoded(images.photo((90, 70)).convert(mode), "JPEG") for mode in ("RGB", "L")]
    damaged = [one for each in whole for one in images.damaged(each, DAMAGED // 2) if sniff(one)]
    for data in damaged:
        assert found(data) == pillows(data)
    assert {found(data) is None for data in damaged} == {False, True}


def test_a_truncated_image_is_refused_in_pillows_words() -> None:
    whole = images.encoded(images.photo((200, 160)), "JPEG")
    error = error_of(decode, whole[: len(whole) // 2], WHOLE, 10**6)
    assert error.code is ErrorCode.UNDECODABLE
    assert "image file is truncated (" in error.message

"""JPEG by libjpeg-turbo itself: Pillow's pixels, whole or shrunk by the inverse DCT, and no work without bounds."""

import io
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests import images
from tests.errors import code_of, error_of
from worker.contract.errors import ErrorCode
from worker.decode import COLOUR, Bounds, Geometry, decode, jpeg_end, open_image
from worker.decode.budget import no_deadline
from worker.decode.jpeg import open_jpeg
from worker.decode.jpeg_end import MAX_SCANNED_PIXELS, PIECE

WHOLE = Geometry((32, 32), None, "bilinear")
SCAN = b"\xff\xda"


ENDLESS = {  # what cameras write in place of the end marker
    "nothing": b"",
    "half of it": b"\xff",
    "ones": b"\xff" * 16,
    "zeros": bytes(4000),
    "both": b"\xff\0\0",
    "text": b"and more" * 20,
}


def noisy(mode: str, progressive: bool, **options: Any) -> bytes:
    """Return a JPEG of `mode` with data for every coefficient."""
    noise = np.random.default_rng(5).integers(0, 256, (141, 203, 3), np.uint8)
    return images.encoded(Image.fromarray(noise).convert(mode), "JPEG", progressive=progressive, **options)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=["JPEG"])


def decoded(data: bytes, factor: int = 1) -> np.ndarray:
    values = open_jpeg(data).decode(factor, COLOUR, no_deadline)
    return values[..., :3].squeeze()


@pytest.mark.parametrize(
    ("subsampling", "progressive", "mode"),
    [*itertools.product(["4:4:4", "4:2:2", "4:2:0"], [False, True], ["RGB"]), (-1, False, "L"), (-1, True, "L")],
)
@pytest.mark.parametrize("size", [(64, 48), (61, 47), (2, 3), (7, 200)])
def test_the_pixels_are_pillows_bit_for_bit(
    subsampling: str | int, progressive: bool, mode: str, size: tuple[int, int]
) -> None:
    image = images.photo(size).convert(mode)
    data = images.encoded(image, "JPEG", quality=80, subsampling=subsampling, progressive=progressive)
    assert np.array_equal(decoded(data), np.asarray(opened(data)).squeeze())


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_shrunk_image_is_pillows_draft_bit_for_bit(factor: int, mode: str) -> None:
    data = images.encoded(images.photo((610, 470)).convert(mode), "JPEG")
    draft = opened(data)
    draft.draft(mode, (610 // factor, 470 // factor))
    assert draft.size == (-(-610 // factor), -(-470 // factor))
    assert np.array_equal(decoded(data, factor), np.asarray(draft))


def test_rgb_that_is_stored_as_rgb_is_pillows_bit_for_bit() -> None:
    data = images.encoded(images.photo(), "JPEG", keep_rgb=True)
    assert np.array_equal(decoded(data), np.asarray(opened(data).convert("RGB")))


def test_a_header_that_says_less_than_there_is_is_refused() -> None:
    """Two frame headers, the smaller last: Pillow goes by the last, libjpeg-turbo by the first."""
    large, small = (images.encoded(images.photo(size), "JPEG") for size in ((640, 480), (16, 16)))
    frame = large.index(b"\xff\xc0")
    length = int.from_bytes(large[frame + 2 : frame + 4], "big") + 2
    other = small[small.index(b"\xff\xc0") :][:length]
    both = large[: frame + length] + other + large[frame + length :]
    assert opened(both).size == (16, 16)
    assert code_of(decode, both, WHOLE) is ErrorCode.UNDECODABLE


def test_more_scans_than_the_size_allows_are_refused_by_the_header() -> None:
    data = images.encoded(images.photo((3000, 2000)), "JPEG", progressive=True)
    last = data.rindex(SCAN)
    allowed = MAX_SCANNED_PIXELS // (3000 * 2000)
    repeated = data[:-2] + data[last:-2] * (allowed + 1) + data[-2:]
    assert code_of(open_image, repeated, Bounds(), COLOUR) is ErrorCode.IMAGE_TOO_COSTLY
    assert decode(data, WHOLE).shape == (32, 32, 3)


def test_the_coefficients_of_a_progressive_image_count_beside_the_pixels_alone() -> None:
    image = images.photo((400, 200))
    for subsampling, coefficients in (("4:4:4", 6), ("4:2:0", 3), ("4:2:2", 4)):
        baseline, progressive = (
            open_jpeg(images.encoded(image, "JPEG", subsampling=subsampling, progressive=progressive))
            for progressive in (False, True)
        )
        # Bytes a pixel: what decoding was measured to hold, for the usual ones 7.2, and 7.2 and 9.1 with coefficients.
        assert [file.held_bytes(1, COLOUR) / (400 * 200) for file in (baseline, progressive)] == [8, coefficients + 6]
        assert progressive.held_bytes(8, COLOUR) == coefficients * 400 * 200 + 6 * 50 * 25


@pytest.mark.parametrize("segment", [b"\xff\xe2\x00\x02", b"\xff\xdb\x00\x43" + bytes(65), b"\xff\xd0"])
def test_more_segments_than_an_image_has_are_refused(segment: bytes) -> None:
    data = images.encoded(images.photo(), "JPEG")
    assert decode(data[:2] + segment * 100 + data[2:], WHOLE).shape == (32, 32, 3)
    assert code_of(open_image, data[:2] + segment * 3000 + data[2:], Bounds(), COLOUR) is ErrorCode.IMAGE_TOO_COSTLY


def test_a_mebibyte_of_fill_bytes_may_come_before_the_markers() -> None:
    data = images.encoded(images.photo(), "JPEG")
    half = b"\xff" * 500_000
    assert np.array_equal(decode(data[:2] + half + data[2:20] + half + data[20:], WHOLE), decode(data, WHOLE))


@pytest.mark.parametrize("skipped", [b"\xff", b"\xff\0"])
def test_more_bytes_between_segments_are_refused_before_they_are_searched(skipped: bytes) -> None:
    data = images.encoded(images.photo(), "JPEG")
    for more in (data[:2] + skipped * 2_000_000 + data[2:], data[:2] + skipped * 2_000_000):
        assert code_of(open_image, more, Bounds(), COLOUR) is ErrorCode.IMAGE_TOO_COSTLY


@pytest.mark.parametrize("end", ENDLESS)
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_an_image_without_its_end_marker_is_whole(mode: str, progressive: bool, end: str) -> None:
    data = noisy(mode, progressive)
    assert np.array_equal(decode(data[:-2] + ENDLESS[end], WHOLE), decode(data, WHOLE))


@pytest.mark.parametrize("padding", [b"", b"\xff" * 9000, bytes(9000)])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_an_image_without_its_last_data_is_cut_short(mode: str, progressive: bool, padding: bytes) -> None:
    data = noisy(mode, progressive)
    for end in (3, 8, len(data) // 2):
        assert code_of(decode, data[:-end] + padding, WHOLE) is ErrorCode.UNDECODABLE


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_an_image_whose_data_end_early_at_an_end_marker_is_cut_short(mode: str, options: dict[str, Any]) -> None:
    data = images.encoded(images.photo((610, 470)).convert(mode), "JPEG", quality=92, **options)
    for share in (0.1, 0.5, 0.9, 0.99):
        for after in (b"", b"and more"):
            cut = data[: int(len(data) * share)].rstrip(b"\xff") + b"\xff\xd9" + after
            error = error_of(decode, cut, WHOLE)
            assert error.code is ErrorCode.UNDECODABLE
            assert "before its last pixel" in error.message


@pytest.mark.parametrize("factors", [(0x42, 0x11, 0x11), (0x11, 0x21, 0x11)])
def test_an_image_of_an_unusual_subsampling_whose_data_end_early_is_cut_short(factors: tuple[int, ...]) -> None:
    data = bytearray(noisy("RGB", False, subsampling="4:4:4"))
    frame = data.index(b"\xff\xc0")
    data[frame + 11 : frame + 19 : 3] = bytes(factors)
    assert decode(bytes(data), WHOLE).shape == (32, 32, 3)
    start = data.index(SCAN)
    for share in (0.01, 0.02, 0.05):  # the rest suffices, as it is read with other tables than those that wrote it
        cut = bytes(data[: start + int((len(data) - start) * share)]).rstrip(b"\xff") + b"\xff\xd9"
        assert "before its last pixel" in error_of(decode, cut, WHOLE).message


def test_an_image_that_ends_at_a_restart_is_cut_short() -> None:
    data = images.encoded(images.photo((610, 470)), "JPEG", restart_marker_rows=1)
    cut = data[: data.rindex(b"\xff\xd3")] + b"\xff\xd9"
    assert "before its last pixel" in error_of(decode, cut, WHOLE).message


def test_a_progressive_image_without_its_last_scan_is_cut_short_unless_it_says_that_it_ends() -> None:
    data = noisy("RGB", True)
    earlier = data[: data.rindex(SCAN)]
    assert code_of(decode, earlier, WHOLE) is ErrorCode.UNDECODABLE
    assert decode(earlier + b"\xff\xd9", WHOLE).shape == (32, 32, 3)


def test_bytes_between_the_segments_are_skipped() -> None:
    data = images.encoded(images.photo(), "JPEG")
    assert np.array_equal(decode(data[:20] + b"junk\0" + data[20:], WHOLE), decode(data, WHOLE))


Encode = Callable[[np.ndarray], bytes | bytearray]

RAMP = np.tile(np.linspace(0, 1, 32), (32, 1))
DEEP: dict[str, Encode] = {
    "12 bits": partial(imagecodecs.jpeg_encode, level=98, bitspersample=12),
    "lossless of 12 bits": partial(imagecodecs.jpeg_encode, lossless=True, bitspersample=12),
    "lossless of 16 bits": partial(imagecodecs.jpeg_encode, lossless=True, bitspersample=16),
    "lossless of 8 bits": partial(imagecodecs.jpeg_encode, lossless=True, bitspersample=8),
    "JPEG-LS of 8 bits": imagecodecs.jpegls_encode,
    "JPEG-LS of 16 bits": imagecodecs.jpegls_encode,
}


def deep(kind: str, colours: bool = False) -> bytes:
    """Return a JPEG of `kind` that is black at its left and white at its right."""
    bits = int(kind.split()[-2])
    levels = np.rint(RAMP * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    return bytes(DEEP[kind](np.dstack([levels] * 3) if colours else levels))


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("kind", [name for name in DEEP if name != "12 bits"] + ["12 bits"])
def test_what_medical_devices_write_is_black_to_white(kind: str, colours: bool) -> None:
    found = decode(deep(kind, colours), WHOLE)
    assert np.abs(found.astype(int) - np.rint(RAMP * 255)[..., np.newaxis]).max() <= (3 if kind == "12 bits" else 1)


@pytest.mark.parametrize("kind", DEEP)
def test_what_medical_devices_write_and_is_cut_short_is_damaged(kind: str) -> None:
    data = deep(kind)
    start = data.index(SCAN)
    for length in (20, (len(data) - start) // 2):
        for end in (b"", b"\xff\xd9"):
            cut = data[:-length].rstrip(b"\xff") + end
            assert code_of(decode, cut, WHOLE) is ErrorCode.UNDECODABLE


@pytest.mark.parametrize(("marker", "name"), [(0xC5, "hierarchical"), (0xCB, "lossless arithmetic"), (0xDE, "hierarc")])
def test_a_coding_that_is_not_served_is_named(marker: int, name: str) -> None:
    data = images.encoded(images.photo(), "JPEG").replace(b"\xff\xc0", bytes([0xFF, marker]))
    error = error_of(decode, data, WHOLE)
    assert error.code is ErrorCode.UNSUPPORTED_COMPRESSION
    assert f"found a JPEG of 3 components in {name}" in error.message


def test_12_bits_of_four_components_are_named() -> None:
    data = images.encoded(images.photo().convert("CMYK"), "JPEG")
    frame = data.index(b"\xff\xc0") + 4
    error = error_of(decode, data[:frame] + b"\x0c" + data[frame + 1 :], WHOLE)
    assert "found a JPEG of 4 components in 12 bits a sample, which is not served" in error.message


@pytest.mark.parametrize("before", [0, 1, 2, 2 * PIECE - 2, 2 * PIECE - 1, 2 * PIECE, 6 * PIECE])
def test_every_scan_is_counted_wherever_it_starts(before: int) -> None:
    data = SCAN + b"\xff" * before + SCAN
    assert jpeg_end._count_scans(data) == data.count(SCAN) == 2

"""HEIF files: AVIF and HEIC by what they hold, and not by the brand that their writer chose."""

import io
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from tests import images
from tests.errors import code_of, error_of
from worker.contract.errors import ErrorCode
from worker.decode import COLOUR, Bounds, Geometry, Pixels, decode, open_image, sniff
from worker.decode.heic import HeicFile

SIZE = (240, 160)
SMALL = Geometry((40, 60), None, "bilinear")
BRAND = slice(8, 12)
VIDEO_BRANDS = {"MP4 video": b"isom", "QuickTime video": b"qt  ", "3GP video": b"3gp4"}


def branded(data: bytes, brand: bytes) -> bytes:
    return data[: BRAND.start] + brand + data[BRAND.stop :]


def heic(image: Image.Image, **options: Any) -> bytes:
    return images.encoded(image, "HEIC", **options)


def seen(data: bytes, **options: Any) -> np.ndarray:
    return decode(data, SMALL, **options).astype(int)


@pytest.mark.parametrize("brand", [b"mif1", b"miaf", b"msf1", b"MA1B", b"avis"])
def test_an_avif_of_any_brand_is_decoded(brand: bytes) -> None:
    data = images.encoded(images.photo(SIZE), "AVIF")
    assert sniff(branded(data, brand)) == "AVIF"
    assert np.array_equal(seen(branded(data, brand)), seen(data))


@pytest.mark.parametrize("brand", [b"mif1", b"msf1", b"heix", b"heim", b"hevc", b"MiHE"])
def test_a_heic_of_any_brand_is_decoded(brand: bytes) -> None:
    data = heic(images.photo(SIZE))
    assert sniff(branded(data, brand)) == "HEIC"
    assert np.array_equal(seen(branded(data, brand)), seen(data))


@pytest.mark.parametrize("options", [{}, {"tile_size": 64}, {"chroma": 444}, {"quality": -1}])
def test_the_pixels_are_those_of_the_image(options: dict[str, Any]) -> None:
    image = images.photo(SIZE)
    assert np.abs(seen(heic(image, **options)) - np.asarray(image.resize((60, 40)))).mean() < 1


def test_10_bits_become_8() -> None:
    image = images.photo(SIZE)
    deep = (np.asarray(image).astype("<u2") << 8).tobytes()
    stream = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", SIZE, deep).save(stream)
    assert pillow_heif.open_heif(stream.getvalue()).info["bit_depth"] == 10
    assert np.abs(seen(stream.getvalue()) - np.asarray(image.resize((60, 40)))).mean() < 1


def test_transparency_lies_on_the_background() -> None:
    image = Image.new("RGBA", SIZE, (200, 10, 10, 0))
    assert np.abs(seen(heic(image)) - 255).max() <= 2
    assert np.abs(seen(heic(image), pixels=Pixels(background=(0, 0, 99))) - (0, 0, 99)).max() <= 2


def test_the_main_one_of_several_images_is_decoded() -> None:
    several = pillow_heif.from_pillow(Image.new("RGB", SIZE, "red"))
    several.add_from_pillow(Image.new("RGB", SIZE, "blue"))
    stream = io.BytesIO()
    several.save(stream, primary_index=1)
    assert np.abs(seen(stream.getvalue()) - (0, 0, 255)).max() <= 3


def test_a_heic_is_bounded_by_its_header() -> None:
    data = heic(images.photo(SIZE))
    assert code_of(open_image, data, Bounds(240 * 160 - 1), COLOUR) is ErrorCode.TOO_MANY_PIXELS
    usual, fine = HeicFile(data), HeicFile(heic(images.photo(SIZE), chroma=444))
    assert 6 * 240 * 160 < usual.held_bytes(8, COLOUR) < 7.5 * 240 * 160
    assert fine.held_bytes(8, COLOUR) > 10 * 240 * 160


@pytest.mark.parametrize("name", VIDEO_BRANDS)
def test_a_video_is_named(name: str) -> None:
    video = b"\0\0\0\x10ftyp" + VIDEO_BRANDS[name] + bytes(4) + b"\0\0\0\x08moov"
    error = error_of(seen, video)
    assert error.code is ErrorCode.UNSUPPORTED_TYPE
    assert error.message.startswith(f"found {name}, not a served type")


@pytest.mark.parametrize(("box", "name"), [(b"avcC", "H.264"), (b"vvcC", "H.266"), (b"j2kH", "JPEG 2000")])
def test_another_coding_is_named(box: bytes, name: str) -> None:
    data = branded(heic(images.photo(SIZE)), b"mif1").replace(b"heic", b"mif1").replace(b"hvcC", box)
    assert f"found HEIF ({name}), not a served type" in error_of(seen, data).message

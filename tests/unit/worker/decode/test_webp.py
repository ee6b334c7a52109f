"""The header of a WebP, read without its pixels: what it says is what Pillow says."""

import io
import struct

import pytest
from PIL import Image

from tests import images
from tests.hostile import webp
from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import COLOUR, Bounds, open_image
from worker.decode.webp import read_header

SIZE = (301, 203)
KINDS: dict[str, dict[str, object]] = {
    "lossy": {"lossless": False},
    "lossless": {"lossless": True},
    "with alpha": {"lossless": False},
    "an animation": {"save_all": True, "append_images": [Image.new("RGB", SIZE)]},
    "with a profile of an odd length": {"icc_profile": bytes(129)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_is_that_of_the_image(kind: str) -> None:
    image = images.photo(SIZE).convert("RGBA" if kind == "with alpha" else "RGB")
    image.putpixel((0, 0), (1, 2, 3, 4)[: len(image.getbands())])
    header = read_header(images.encoded(image, "WebP", **KINDS[kind]))
    assert (header.width, header.height, header.orientation) == (*SIZE, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("lossless", [False, True])
def test_the_orientation_is_that_of_its_exif(orientation: int, lossless: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    images.photo(SIZE).save(stream, "WEBP", lossless=lossless, exif=exif, icc_profile=bytes(129))
    assert read_header(stream.getvalue()).orientation == orientation


def test_broken_metadata_is_no_reason_to_refuse_it() -> None:
    data = webp.riff(webp.canvas(4, 4, 0x08), webp.lossless(4, 4), webp.chunk(b"EXIF", b"II*\0\xff\xff\xff\xff"))
    assert read_header(data).orientation == 1


@pytest.mark.parametrize("data", [webp.riff(), webp.riff(webp.chunk(b"JUNK", b"")), webp.riff(b"VP8L")])
def test_a_file_without_an_image_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        read_header(data)
    with pytest.raises(ServiceError) as refused:
        open_image(data, Bounds(), COLOUR)
    assert refused.value.code is ErrorCode.UNDECODABLE


def test_a_canvas_other_than_its_image_is_refused_when_it_is_decoded() -> None:
    data = webp.riff(webp.canvas(4, 4, 0), webp.lossless(400, 400))
    with pytest.raises(ServiceError) as refused:
        open_image(data, Bounds(), COLOUR).upright()
    assert refused.value.code is ErrorCode.UNDECODABLE

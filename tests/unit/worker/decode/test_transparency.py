"""Transparency: on a background, or left out as the libraries leave it out that networks are trained with."""

import io
from collections.abc import Callable
from tempfile import NamedTemporaryFile

import numpy as np
import pytest
from PIL import Image

from tests import images
from worker.decode import Geometry, Pixels, decode
from worker.models import torchvision_ops

torchvision_ops.make_importable()
import timm.data  # noqa: E402
from open_clip.transform import _convert_to_rgb  # noqa: E402
from torchvision.datasets.folder import pil_loader  # noqa: E402
from transformers.image_utils import load_image  # noqa: E402

SIZE = WIDTH, HEIGHT = 48, 32
AS_IT_IS = Geometry((HEIGHT, WIDTH), None, "bilinear")
DROPPED = Pixels(background=None)
LEVELS = {"AVIF": 40, "HEIC": 12}  # by which decoders differ where colours change


def tolerance(name: str, least: int = 0) -> int:
    return LEVELS.get(name.split(",")[0], least)


def clear(mode: str) -> Image.Image:
    """Return a photo under an alpha that rises from left to right."""
    image = images.photo(SIZE)
    image.putalpha(Image.linear_gradient("L").rotate(90).resize(SIZE))
    return image.convert(mode)


FILES: dict[str, bytes] = {
    **{f"{kind}, RGBA": images.encoded(clear("RGBA"), kind) for kind in ("PNG", "TIFF", "AVIF", "HEIC", "BMP")},
    "WebP, RGBA": images.encoded(clear("RGBA"), "WebP", exact=True),
    "PNG, LA": images.encoded(clear("LA"), "PNG"),
    "TIFF, LA": images.encoded(clear("LA"), "TIFF"),
    "PNG, a palette": images.encoded(images.photo(SIZE).quantize(16), "PNG", transparency=3),
    "PNG, a palette with alpha": images.encoded(clear("RGBA").quantize(16), "PNG"),
    "PNG, one colour": images.encoded(Image.new("RGB", SIZE, (200, 10, 10)), "PNG", transparency=(200, 10, 10)),
    "PNG, one grey": images.encoded(Image.new("L", SIZE, 77), "PNG", transparency=77),
    "GIF, one colour": images.encoded(images.photo(SIZE).quantize(16), "GIF", transparency=3),
    "GIF, animated": images.animation(images.photo(SIZE).quantize(16), Image.new("P", SIZE), kind="GIF"),
}


def opened_by_timm(data: bytes) -> Image.Image:
    image, _ = timm.data.ImageDataset(root="", reader=[(io.BytesIO(data), 0)])[0]
    return image


def opened_by_torchvision(data: bytes) -> Image.Image:
    with NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return pil_loader(file.name)


LIBRARIES: dict[str, Callable[[bytes], Image.Image]] = {
    "timm": opened_by_timm,
    "torchvision": opened_by_torchvision,
    "transformers": lambda data: load_image(Image.open(io.BytesIO(data))),
    "OpenCLIP": lambda data: _convert_to_rgb(Image.open(io.BytesIO(data))),
}


@pytest.mark.parametrize("name", FILES)
def test_dropped_transparency_leaves_what_pillow_converts_to_rgb(name: str) -> None:
    wanted = np.asarray(Image.open(io.BytesIO(FILES[name])).convert("RGB")).astype(int)
    found = decode(FILES[name], AS_IT_IS, pixels=DROPPED)
    assert np.abs(found - wanted).max() <= tolerance(name)


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_train_with_dropped_transparency(library: str) -> None:
    for name, data in FILES.items():
        wanted = np.asarray(LIBRARIES[library](data)).astype(int)
        assert np.abs(decode(data, AS_IT_IS, pixels=DROPPED) - wanted).max() <= tolerance(name), name


def test_a_grey_network_sees_the_colours_under_transparency_too() -> None:
    found = decode(FILES["PNG, RGBA"], AS_IT_IS, pixels=Pixels(1, background=None))
    assert np.array_equal(found[..., 0], np.asarray(images.photo(SIZE).convert("L")))


@pytest.mark.parametrize("name", FILES)
def test_a_background_shows_where_nothing_covers_it(name: str) -> None:
    image = Image.open(io.BytesIO(FILES[name])).convert("RGBA")
    whole = Image.new("RGBA", SIZE, "blue")
    whole.alpha_composite(image)
    found = decode(FILES[name], AS_IT_IS, pixels=Pixels(background=(0, 0, 255)))
    assert np.abs(found - np.asarray(whole.convert("RGB")).astype(int)).max() <= tolerance(name, 2)

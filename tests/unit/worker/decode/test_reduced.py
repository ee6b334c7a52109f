"""Pixels that were shrunk while they were decoded, scaled by libvips, against the same by Pillow."""

import numpy as np
import pytest
from PIL import Image

from tests import images
from worker.decode import INTERPOLATIONS, DecodedImage, Geometry, Pixels
from worker.decode.geometry import DISCONTINUOUS_FILTERS
from worker.decode.orientation import ORIENTATIONS, UPRIGHT, Orientation
from worker.decode.pixels import COLOUR, GREY
from worker.decode.reduced import KERNELS, reduced

SIZES = [(1000, 750), (540, 960), (513, 700), (1500, 520), (601, 777)]
GEOMETRIES = [
    Geometry((224, 224), resize, "bicubic", rounding)
    for resize in (224, 256, (256, 280), None)
    for rounding in ("even", "down")
]


def apart(image: Image.Image, geometry: Geometry, orientation: Orientation = UPRIGHT) -> np.ndarray:
    """Return by how many grey levels the pixels of `image` differ from those that Pillow makes of it."""
    expected = DecodedImage((image,), orientation).scaled(geometry).astype(int)
    return np.abs(reduced(np.asarray(image), geometry, orientation, COLOUR) - expected)


def test_every_filter_that_shrinks_is_known_to_libvips() -> None:
    assert set(KERNELS) == set(INTERPOLATIONS) - set(DISCONTINUOUS_FILTERS)


@pytest.mark.parametrize("size", SIZES)
def test_a_photograph_is_pillows_within_two_grey_levels(size: tuple[int, int]) -> None:
    for geometry in GEOMETRIES:
        found = apart(images.photo(size), geometry)
        assert found.shape == (224, 224, 3)
        assert found.max() <= 2, geometry
        assert found.mean() < 0.1, geometry


@pytest.mark.parametrize("interpolation", KERNELS)
def test_noise_is_pillows_to_less_than_half_a_grey_level_on_average(interpolation: str) -> None:
    """Noise has the sharpest edges: where a filter is shifted by a 64th of a pixel, they tell."""
    noise = Image.fromarray(np.random.default_rng(5).integers(0, 256, (750, 1000, 3), np.uint8))
    for resize in (256, None):
        assert apart(noise, Geometry((224, 224), resize, interpolation)).mean() < 0.5


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_turned_image_is_cut_where_the_upright_one_is(orientation: int) -> None:
    for size in SIZES[:2]:
        assert apart(images.photo(size), Geometry((224, 160), 256, "bicubic"), ORIENTATIONS[orientation]).max() <= 2


def test_grey_and_colours_become_what_the_network_takes_and_bands_stay() -> None:
    colours, geometry = images.photo((1000, 750)), Geometry((224, 224), 256, "bicubic")
    grey = np.asarray(colours.convert("L"))[..., np.newaxis]
    as_grey = reduced(grey, geometry, UPRIGHT, Pixels(GREY))
    as_colours = reduced(grey, geometry, UPRIGHT, COLOUR)
    assert as_grey.shape == (224, 224, 1)
    assert np.array_equal(as_colours, as_grey.repeat(3, axis=-1))
    weighed = reduced(np.asarray(colours), geometry, UPRIGHT, Pixels(GREY))
    assert np.abs(weighed.astype(int) - as_grey).max() <= 2
    bands = np.concatenate([np.asarray(colours), grey, 255 - grey], axis=-1)
    found = reduced(bands, geometry, UPRIGHT, Pixels(5))
    assert np.array_equal(found[..., 3:4], as_grey)
    assert np.array_equal(found[..., :3], reduced(np.asarray(colours), geometry, UPRIGHT, COLOUR))

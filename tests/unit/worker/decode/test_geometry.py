"""Scaling and cutting in one, against the same by torchvision, one after the other.

Where nothing is cut off, and where the weights jump (nearest, box), the pixels are the same bit for bit. Elsewhere
they are within one grey level.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests import images
from worker.decode import INTERPOLATIONS, DecodedImage, Geometry
from worker.decode.geometry import rows_first
from worker.decode.orientation import ORIENTATIONS, UPRIGHT
from worker.decode.scale import scaled
from worker.models import torchvision_ops

torchvision_ops.make_importable()
from torchvision.transforms import InterpolationMode, v2  # noqa: E402

SIDE = 32
SIZES = st.integers(1, 400)
# Up to 10 times as long as wide; of longer ones less is computed, and positions may be rounded.
SHAPES = st.tuples(st.integers(1, 200), st.integers(1, 200)).filter(lambda size: max(size) <= 10 * min(size))
FUSED = [name for name in INTERPOLATIONS if name not in ("nearest", "box")]
JUMPING = ["nearest", "box"]
PHOTOS = [
    (500, 375), (375, 500), (500, 333), (333, 500), (640, 480), (1024, 768), (511, 289), (257, 511), (256, 256),
    (225, 300), (224, 224), (90, 400), (400, 90), (31, 977), (1200, 41), (17, 17), (1, 1), (1, 40), (77, 2),
]  # fmt: skip


def sharp(size: tuple[int, int], seed: int = 5) -> Image.Image:
    """Noise, in which every overshoot of a filter is cut off at black and white."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8))


def torchvisions(image: Image.Image, geometry: Geometry) -> np.ndarray:
    """What Resize and CenterCrop make of `image`, as int, so that differences do not wrap."""
    way, resize = InterpolationMode(geometry.interpolation), geometry.resize or geometry.size
    steps = v2.Compose([v2.Resize(resize, way, antialias=True), v2.CenterCrop(geometry.size)])
    return np.asarray(steps(image)).astype(int)


def ours(image: Image.Image, geometry: Geometry) -> np.ndarray:
    return DecodedImage((image,)).scaled(geometry).astype(int)


@given(SIZES, SIZES, st.integers(1, 300), st.integers(1, 300), st.integers(0, 200))
def test_the_kept_part_lies_inside_the_image_and_has_the_outputs_shape(
    width: int, height: int, out_width: int, out_height: int, margin: int
) -> None:
    resize = max(out_width, out_height) + margin
    cut = Geometry((out_height, out_width), resize, "bilinear").cut(width, height)
    scale = resize / min(width, height)
    for span, full, kept in ((cut.columns, width, out_width), (cut.rows, height, out_height)):
        start, end = span.ends
        assert 0 <= start < end <= full
        assert (span.kept, span.skipped >= 0, span.skipped + kept <= span.computed) == (kept, True, True)
        assert (end - start) * scale == pytest.approx(span.computed, abs=1)


@given(SIZES, SIZES)
def test_without_resize_the_whole_image_is_kept(width: int, height: int) -> None:
    cut = Geometry((SIDE, SIDE), None, "bilinear").cut(width, height)
    assert (cut.columns.ends, cut.rows.ends) == ((0, width), (0, height))
    assert (cut.columns.computed, cut.rows.computed) == (SIDE, SIDE)


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, st.sampled_from([*INTERPOLATIONS]))
def test_the_whole_image_stretched_is_torchvisions_bit_for_bit(width: int, height: int, interpolation: str) -> None:
    geometry = Geometry((20, 30), None, interpolation)
    assert np.array_equal(ours(sharp((width, height)), geometry), torchvisions(sharp((width, height)), geometry))


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.sampled_from(JUMPING))
def test_nearest_and_box_are_torchvisions_bit_for_bit(size: tuple[int, int], interpolation: str) -> None:
    geometry = Geometry((SIDE, SIDE), 36, interpolation)
    assert np.array_equal(ours(sharp(size), geometry), torchvisions(sharp(size), geometry))


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.sampled_from(FUSED), st.integers(SIDE, 50), st.booleans())
def test_any_size_is_torchvisions_within_one_grey_level(
    size: tuple[int, int], interpolation: str, resize: int, smooth: bool
) -> None:
    image = (images.photo if smooth else sharp)(size)
    geometry = Geometry((SIDE, SIDE), resize, interpolation)
    assert np.abs(ours(image, geometry) - torchvisions(image, geometry)).max() <= 1


@pytest.mark.parametrize("interpolation", FUSED)
@pytest.mark.parametrize("resize", [224, 232, 256])
def test_the_shapes_of_photos_are_torchvisions_within_one_grey_level(interpolation: str, resize: int) -> None:
    geometry = Geometry((224, 224), resize, interpolation)
    for size in PHOTOS:
        for image in (images.photo(size), sharp(size)):
            assert np.abs(ours(image, geometry) - torchvisions(image, geometry)).max() <= 1, size


def test_an_image_is_stretched_to_a_pair_and_then_cut() -> None:
    for size in PHOTOS:
        geometry = Geometry((48, 64), (63, 81), "bicubic")
        assert np.abs(ours(sharp(size), geometry) - torchvisions(sharp(size), geometry)).max() <= 1


@pytest.mark.parametrize(("rounding", "starts"), [("even", [0, 2, 2, 4]), ("down", [0, 1, 2, 3])])
def test_half_a_pixel_of_margin_goes_where_the_library_puts_it(rounding: str, starts: list[int]) -> None:
    image = Image.fromarray(np.arange(40, dtype=np.uint8)[np.newaxis].repeat(40, 0))
    found = [ours(image, Geometry((size, size), 40, "bilinear", rounding))[0, 0, 0] for size in (39, 37, 35, 33)]
    assert found == starts


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_an_image_turned_when_it_is_small_is_the_one_turned_when_it_was_large(
    orientation: int, interpolation: str
) -> None:
    for size in PHOTOS:
        image, turn = sharp(size), ORIENTATIONS[orientation]
        for geometry in (Geometry((SIDE, 24), None, interpolation), Geometry((SIDE, 24), 35, interpolation)):
            late, early = scaled(image, geometry, turn), scaled(turn.upright(image), geometry, UPRIGHT)
            apart = np.abs(np.asarray(late).astype(int) - np.asarray(early))
            assert apart.max() <= (0 if geometry.resize is None or interpolation in JUMPING else 1)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_line_of_pixels_does_not_become_an_image_of_gigabytes(interpolation: str) -> None:
    geometry = Geometry((224, 224), 256, interpolation)
    for size in ((65_000, 1), (1, 65_000)):
        cut = geometry.cut(*size)
        assert max(cut.columns.computed, cut.rows.computed) <= 256
        assert ours(sharp(size), geometry).shape == (224, 224, 3)


def test_columns_and_rows_are_scaled_in_the_order_that_pillow_takes() -> None:
    """A filter that overshoots shows the order: what is above white is cut off between the two."""
    way, order = Image.Resampling.LANCZOS, set[bool]()
    for width, height, to in (
        (60, 90, (40, 30)),
        (60, 90, (50, 45)),
        (90, 60, (30, 40)),
        (20, 90, (40, 30)),
        (9, 9, (30, 20)),
    ):
        image = sharp((width, height))
        through = (width, to[1]) if rows_first(image.size, to) else (to[0], height)
        assert np.array_equal(np.asarray(image.resize(through, way).resize(to, way)), np.asarray(image.resize(to, way)))
        order.add(rows_first(image.size, to))
    assert order == {False, True}

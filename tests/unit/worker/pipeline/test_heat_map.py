"""Heat maps: the covered patches, the evidence lost, and the drawing."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from worker.models.labels import activate
from worker.pipeline.heat_map import GRID, INFERENCES, POSITIONS, draw, evidence, heat, occlusions

NO_RIVALS = np.array([], int)


def losses(hot: dict[tuple[int, int], float]) -> np.ndarray:
    """Return the losses of all positions: those in `hot`, 0 elsewhere."""
    found = np.zeros((POSITIONS, POSITIONS))
    for position, loss in hot.items():
        found[position] = loss
    return found.ravel()


@pytest.mark.parametrize("shape", [(32, 32, 3), (225, 97, 3), (16, 24, 1), (40, 8, 6)])
def test_every_pixel_is_covered_and_every_patch_has_the_images_mean_colour(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(2).integers(0, 100, shape).astype(np.uint8)
    pixels[0] = 255  # so that no other pixel has the mean colour
    pixels[1:, ..., 0] |= 1
    covered = list(occlusions(pixels))
    changed = np.array([(one != pixels).any(axis=-1) for one in covered])
    assert len(covered) == INFERENCES
    assert all(one.dtype == np.uint8 and one.shape == shape for one in covered)
    assert changed.any(axis=0).mean() > 0.98  # a pixel may have the mean colour by chance
    colour = pixels.mean(axis=(0, 1)).round()
    assert all((one[there] == colour).all() for one, there in zip(covered, changed, strict=True))


def test_patches_cover_a_sixteenth_of_the_image_row_by_row() -> None:
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, ::2] = 200
    covered = [(one != pixels).any(axis=-1) for one in occlusions(pixels)]
    for number, one in enumerate(covered):
        rows, columns = np.nonzero(one)
        row, column = divmod(number, POSITIONS)
        assert (rows.min(), rows.max() + 1) == (row * 4, row * 4 + 8)
        assert (columns.min(), columns.max() + 1) == (column * 8, column * 8 + 16)


def test_an_image_of_one_pixel_can_be_covered_too() -> None:
    assert len(list(occlusions(np.zeros((1, 1, 3), np.uint8)))) == INFERENCES


@given(hnp.arrays(np.float64, (2, 5), elements=st.floats(-20, 20)), st.integers(0, 4))
def test_evidence_against_rivals_is_the_log_odds_of_the_softmax(logits: np.ndarray, index: int) -> None:
    found = evidence(logits, index, np.setdiff1d(np.arange(5), index))
    share = activate(logits, "softmax")[:, index]
    assert 1 / (1 + np.exp(-found)) == pytest.approx(share, rel=1e-6, abs=1e-12)


def test_evidence_distinguishes_scores_that_are_both_1() -> None:
    logits = np.array([[100, 0, 0], [90, 0, 0]], np.float32)
    assert activate(logits, "softmax")[:, 0].tolist() == [1, 1]
    less, more = evidence(logits, 0, np.array([1, 2]))[::-1]
    assert more - less == pytest.approx(10)


def test_without_rivals_the_logit_itself_is_the_evidence() -> None:
    assert evidence(np.array([[3.0, 5.0]]), 1, NO_RIVALS).tolist() == [5]


def test_the_cells_of_the_patch_with_the_largest_loss_are_hottest() -> None:
    found = heat(losses({(2, 3): 4.0}))
    assert found.shape == (GRID, GRID)
    assert {(int(row), int(column)) for row, column in np.argwhere(found > 0)} == {(2, 3), (2, 4), (3, 3), (3, 4)}
    assert found.max() == 1


def test_the_overlap_of_two_patches_is_hottest() -> None:
    found = heat(losses({(2, 3): 4.0, (3, 4): 4.0}))
    assert np.argwhere(found == found.max()).tolist() == [[3, 4]]


def test_a_corner_is_as_hot_as_its_one_patch() -> None:
    found = heat(losses({(0, 0): 4.0}))
    assert np.argwhere(found == 1).tolist() == [[0, 0]]


def test_evidence_against_the_class_is_cold() -> None:
    assert not heat(losses({(2, 3): -4.0})).any()


def colourfulness(png: bytes) -> np.ndarray:
    """Return the colourfulness of each pixel of the PNG, int [H, W]."""
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert image.mode == "RGB"
    pixels = np.asarray(image).astype(int)
    return pixels.max(axis=-1) - pixels.min(axis=-1)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_the_image_is_drawn_in_grey_with_colour_where_it_is_hot(channels: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 255, (40, 56, channels)).astype(np.uint8)
    found = colourfulness(draw(pixels, heat(losses({(5, 1): 1.0}))))
    assert found.shape == (40, 56)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 25 <= row < 35
    assert 7 <= column < 21
    assert found[:20].max() < 3  # each channel is rounded separately
    assert found[:, 35:].max() < 3


def test_a_heat_map_without_heat_is_the_image_in_grey() -> None:
    pixels = np.random.default_rng(3).integers(0, 255, (40, 56, 3)).astype(np.uint8)
    found = np.asarray(Image.open(io.BytesIO(draw(pixels, np.zeros((GRID, GRID))))))
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    assert np.abs(found.astype(int) - grey[..., None]).max() <= 1

"""Tiles: together the whole image, as few as that takes, and their answers made one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.errors import code_of
from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.limits import MAX_TILES
from worker.models.tiles import Tiles, merged

SMALL = Tiles((4, 6), (3, 4), "mean")
SIDES = st.integers(1, 30)


@given(st.integers(1, 60), st.integers(1, 60), SIDES, SIDES, st.data())
def test_tiles_cover_the_whole_image_and_nothing_beyond(
    width: int, height: int, tile_width: int, tile_height: int, data: st.DataObject
) -> None:
    stride = data.draw(st.tuples(st.integers(1, tile_height), st.integers(1, tile_width)))
    tiles = Tiles((tile_height, tile_width), stride, "mean")
    try:
        boxes = tiles.boxes(width, height)
    except ServiceError:
        return
    covered = np.zeros((height, width), bool)
    for left, top, right, bottom in boxes:
        assert (right - left, bottom - top) == (min(tile_width, width), min(tile_height, height))
        covered[top:bottom, left:right] = True
    assert covered.all()
    assert len(boxes) == len(set(boxes)) <= MAX_TILES


def test_the_last_tile_of_a_row_and_of_a_column_is_moved_to_the_edge() -> None:
    assert SMALL.boxes(11, 7) == [
        (0, 0, 6, 4), (4, 0, 10, 4), (5, 0, 11, 4),
        (0, 3, 6, 7), (4, 3, 10, 7), (5, 3, 11, 7),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(6, 4), (1, 1), (6, 1), (2, 4)])
def test_an_image_no_larger_than_a_tile_is_one_tile(size: tuple[int, int]) -> None:
    assert SMALL.boxes(*size) == [(0, 0, *size)]


def test_a_strip_is_cut_only_along_its_length() -> None:
    assert SMALL.boxes(10, 2) == [(0, 0, 6, 2), (4, 0, 10, 2)]


def test_the_largest_allowed_number_of_tiles_is_accepted() -> None:
    side = 10 * (MAX_TILES - 1) + 10
    tiles = Tiles((10, 10), (10, 10), "mean")
    assert len(tiles.boxes(side, 10)) == MAX_TILES
    assert code_of(tiles.boxes, side + 1, 10) is ErrorCode.TOO_MANY_TILES


def test_logits_are_merged_by_their_mean_or_their_maximum() -> None:
    rows = [np.array(row, np.float32) for row in ([1, 5, -3], [3, 1, -1])]
    for merge, expected in {"mean": [2, 3, -2], "max": [3, 5, -1]}.items():
        found = merged(Tiles((1, 1), (1, 1), merge), rows)
        assert found.tolist() == expected
        assert found.dtype == np.float32


@pytest.mark.parametrize("tiles", [None, SMALL])
def test_a_single_answer_is_unchanged(tiles: Tiles | None) -> None:
    row = np.array([1, 2], np.float32)
    assert merged(tiles, [row]) is row

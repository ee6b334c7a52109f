"""From a network's numbers to names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from worker.labels import Labels, activate

BOTH = Labels({"zh": ("猫", "狗", "茶"), "en": ("cat", "dog", "tea")})
ENGLISH = Labels({"en": ("cat", "dog", "tea")})
SCORES = np.array([0.1, 0.7, 0.2], np.float32)
LOGITS = hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(-3e4, 3e4, width=32))


@given(LOGITS)
def test_softmax_adds_up_to_one_and_keeps_the_order(logits: np.ndarray) -> None:
    scores = activate(logits, "softmax")
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    assert (scores >= 0).all()
    assert scores[logits.argmax()] == scores.max()


@given(LOGITS)
def test_sigmoid_lies_between_nothing_and_one(logits: np.ndarray) -> None:
    scores = activate(logits, "sigmoid")
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores[logits.argmax()] == scores.max()


def test_each_row_of_a_batch_is_activated_alone() -> None:
    logits = np.array([[0, 0], [0, np.log(3)]], np.float32)
    assert activate(logits, "softmax") == pytest.approx(np.array([[0.5, 0.5], [0.25, 0.75]]))


def test_none_leaves_the_numbers_as_they_are() -> None:
    assert activate(SCORES, "none").tolist() == SCORES.tolist()


def test_rows_come_best_first_with_all_their_names() -> None:
    assert BOTH.top(SCORES, 2, 0, "zh") == [
        {"label": "狗", "label_en": "dog", "label_zh": "狗", "index": 1, "score": 0.7},
        {"label": "茶", "label_en": "tea", "label_zh": "茶", "index": 2, "score": 0.2},
    ]


def test_a_language_that_is_not_there_has_no_name() -> None:
    assert ENGLISH.top(SCORES, 1, 0, "both") == [
        {"label": "dog", "label_en": "dog", "label_zh": None, "index": 1, "score": 0.7}
    ]


@pytest.mark.parametrize(("wanted", "shown"), [("zh", "猫"), ("en", "cat"), ("both", "猫 cat")])
def test_a_label_is_shown_in_the_language_wanted(wanted: str, shown: str) -> None:
    assert BOTH.shown(0, wanted) == shown


def test_the_same_name_in_both_languages_is_shown_once() -> None:
    assert Labels({"zh": ("T恤",), "en": ("T恤",)}).shown(0, "both") == "T恤"


def test_only_scores_that_reach_the_threshold_are_rows() -> None:
    assert [row["index"] for row in BOTH.top(np.array([0.5, 0.25, 0.25]), 5, 0.25, "en")] == [0, 1, 2]
    assert [row["index"] for row in BOTH.top(np.array([0.5, 0.25, 0.25]), 5, 0.3, "en")] == [0]
    assert BOTH.top(SCORES, 5, 1, "en") == []


def test_without_a_threshold_negative_scores_are_rows_too() -> None:
    assert [row["index"] for row in BOTH.top(np.array([-2.0, 1.0, -1.0]), 5, 0, "en")] == [1, 2, 0]


def test_equal_scores_come_in_the_order_of_their_index() -> None:
    assert [row["index"] for row in BOTH.top(np.zeros(3), 3, 0, "en")] == [0, 1, 2]


def test_more_rows_than_classes_are_all_classes() -> None:
    assert len(BOTH.top(SCORES, 10**30, 0, "en")) == BOTH.count == 3

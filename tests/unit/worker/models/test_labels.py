"""From a network's numbers to names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from worker.models.labels import Labels, activate, best

BOTH = Labels({"zh": ("猫", "狗", "茶"), "en": ("cat", "dog", "tea")})
ENGLISH = Labels({"en": ("cat", "dog", "tea")})
JAPANESE = Labels({"zh": ("猫",), "en": ("cat",), "ja": ("ねこ",)})
SCORES = np.array([0.1, 0.7, 0.2], np.float32)
LOGITS = hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(-3e4, 3e4, width=32))


@given(LOGITS)
def test_softmax_adds_up_to_one_and_keeps_the_order(logits: np.ndarray) -> None:
    scores = activate(logits, "softmax")
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    assert (scores >= 0).all()
    assert scores[logits.argmax()] == scores.max()


@given(LOGITS)
def test_sigmoid_is_between_zero_and_one(logits: np.ndarray) -> None:
    scores = activate(logits, "sigmoid")
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores[logits.argmax()] == scores.max()


def test_each_row_of_a_batch_is_activated_independently() -> None:
    logits = np.array([[0, 0], [0, np.log(3)]], np.float32)
    assert activate(logits, "softmax") == pytest.approx(np.array([[0.5, 0.5], [0.25, 0.75]]))


def test_none_leaves_the_numbers_as_they_are() -> None:
    assert activate(SCORES, "none").tolist() == SCORES.tolist()


def test_a_row_has_the_score_and_a_name_for_every_language() -> None:
    assert BOTH.row(1, float(np.float32(0.7)), "zh") == {
        "label": "狗", "label_en": "dog", "label_zh": "狗", "index": 1, "score": 0.7
    }  # fmt: skip
    assert list(BOTH.row(1, 0.7, "zh")) == ["label", "label_en", "label_zh", "index", "score"]


def test_a_required_language_without_labels_is_none() -> None:
    assert ENGLISH.row(1, 0.7, "both") == {
        "label": "dog", "label_en": "dog", "label_zh": None, "index": 1, "score": 0.7
    }  # fmt: skip


def test_other_languages_are_added_to_the_required_ones() -> None:
    assert JAPANESE.row(0, 0.5, "ja") == {
        "label": "ねこ", "label_en": "cat", "label_zh": "猫", "label_ja": "ねこ", "index": 0, "score": 0.5
    }  # fmt: skip


@pytest.mark.parametrize(("language", "name"), [("zh", "猫"), ("en", "cat"), ("both", "猫 cat"), ("ja", "ねこ")])
def test_a_label_is_named_in_the_requested_language(language: str, name: str) -> None:
    assert JAPANESE.name(0, language) == name


def test_without_chinese_and_english_both_is_the_language_there_is() -> None:
    assert Labels({"de": ("Katze",), "ja": ("ねこ",)}).name(0, "both") == "Katze"


def test_the_same_name_in_both_languages_is_shown_once() -> None:
    assert Labels({"zh": ("T恤",), "en": ("T恤",)}).name(0, "both") == "T恤"


@given(hnp.arrays(np.float32, st.integers(1, 30), elements=st.sampled_from([-2, -0.5, 0, 0.25, 0.5])), st.integers(1))
def test_the_best_are_sorted_and_equal_scores_keep_their_order(scores: np.ndarray, count: int) -> None:
    expected = sorted(range(len(scores)), key=lambda index: -scores[index])[:count]  # Python's sort is stable
    assert best(scores, count) == expected


def test_nan_scores_still_give_as_many_classes() -> None:
    assert len(best(np.full(3, np.nan), 2)) == 2
    assert BOTH.count == 3

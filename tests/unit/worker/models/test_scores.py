"""From logits to answers: the label's classes, and the groups beside them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from worker.models.labels import Labels
from worker.models.scores import Group, Output

LABELS = Labels({
    "en": ("apple", "pear", "ripe", "unripe", "plum", "wet", "bruised"),
    "zh": ("苹果", "梨", "熟", "生", "李子", "湿", "碰伤"),
})  # fmt: skip
RIPENESS = Group("ripeness", (3, 2), "softmax")
MARKS = Group("marks", (5, 6), "sigmoid", 0.5)
FRUIT = Output("softmax", LABELS, groups=(RIPENESS, MARKS))
PLAIN = Output("softmax", LABELS)
LOGITS = np.log(np.array([0.6, 0.1, 3.0, 1.0, 0.3, 4.0, 0.25], np.float32))


def indices(rows: object) -> list[int]:
    assert isinstance(rows, list)
    return [row["index"] for row in rows]


def test_without_groups_all_classes_compete() -> None:
    assert PLAIN.main.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert PLAIN.scores(LOGITS).sum() == pytest.approx(1)
    assert PLAIN.attributes(PLAIN.scores(LOGITS), "en") == {}


def test_a_group_has_its_own_activation_and_does_not_affect_the_main_classes() -> None:
    expected = [0.6, 0.1, 0.75, 0.25, 0.3, 0.8, 0.2]
    assert FRUIT.main.tolist() == [0, 1, 4]
    assert FRUIT.scores(LOGITS) == pytest.approx(np.array(expected))
    assert FRUIT.scores(np.stack([LOGITS, LOGITS])) == pytest.approx(np.array([expected, expected]))


@given(hnp.arrays(np.float32, 4, elements=st.floats(-90, 90, width=32)))
def test_the_logits_of_a_group_never_change_a_prediction(grouped: np.ndarray) -> None:
    logits = LOGITS.copy()
    logits[[2, 3, 5, 6]] = grouped
    expected = FRUIT.predictions(FRUIT.scores(LOGITS), 5, 0, "en")
    assert FRUIT.predictions(FRUIT.scores(logits), 5, 0, "en") == expected


def test_another_activation_applies_only_to_the_main_classes() -> None:
    scores = FRUIT.scores(LOGITS, "none")
    assert scores[[0, 1, 4]].tolist() == LOGITS[[0, 1, 4]].tolist()
    assert scores[[3, 2]] == pytest.approx(np.array([0.25, 0.75]))


def test_predictions_are_the_main_classes_best_first_with_their_own_index() -> None:
    rows = FRUIT.predictions(FRUIT.scores(LOGITS), 2, 0, "zh")
    assert rows == [
        {"label": "苹果", "label_en": "apple", "label_zh": "苹果", "index": 0, "score": 0.6},
        {"label": "李子", "label_en": "plum", "label_zh": "李子", "index": 4, "score": 0.3},
    ]


def test_a_softmax_group_reports_its_best_class_and_a_sigmoid_group_what_reaches_its_threshold() -> None:
    assert FRUIT.attributes(FRUIT.scores(LOGITS), "en") == {
        "ripeness": {"label": "ripe", "label_en": "ripe", "label_zh": "熟", "index": 2, "score": 0.75},
        "marks": [{"label": "wet", "label_en": "wet", "label_zh": "湿", "index": 5, "score": 0.8}],
    }


def test_a_group_without_an_activation_reports_its_largest_logit() -> None:
    output = Output("softmax", LABELS, groups=(Group("size", (5, 6), "none"),))
    row = output.attributes(output.scores(LOGITS), "en")["size"]
    assert row == LABELS.row(5, LOGITS[5], "en")


@pytest.mark.parametrize(("threshold", "reported"), [(0.9, []), (0.8, [5]), (0.1, [5, 6])])
def test_a_sigmoid_group_reports_classes_that_reach_its_threshold(threshold: float, reported: list[int]) -> None:
    output = Output("softmax", LABELS, groups=(Group("marks", (6, 5), "sigmoid", threshold),))
    scores = np.array([0, 0, 0, 0, 0, 0.8, 0.2])
    assert indices(output.attributes(scores, "en")["marks"]) == reported


def test_only_scores_that_reach_the_threshold_are_predicted() -> None:
    scores = np.array([0.5, 0.25, 0, 0, 0.25, 0, 0])
    assert indices(FRUIT.predictions(scores, 5, 0.25, "en")) == [0, 1, 4]
    assert indices(FRUIT.predictions(scores, 5, 0.3, "en")) == [0]
    assert FRUIT.predictions(scores, 5, 1, "en") == []


@pytest.mark.parametrize(("unsure_below", "confident"), [(None, None), (0.0, True), (0.5, True), (0.61, False)])
def test_an_answer_is_confident_if_it_reaches_the_models_score(unsure_below: float | None, confident: object) -> None:
    scores = np.array([0.6, 0.1, 0.9, 0.9, 0.3, 0.9, 0.9], np.float32)  # what is in a group does not count
    assert replace(FRUIT, unsure_below=unsure_below).confident(scores) is confident


def test_without_a_threshold_negative_scores_are_predicted_too() -> None:
    assert indices(FRUIT.predictions(np.array([-2.0, 1, 9, 9, -1, 9, 9]), 5, 0, "en")) == [1, 4, 0]


def test_more_predictions_than_classes_are_all_classes() -> None:
    assert indices(FRUIT.predictions(np.zeros(7), 10**30, 0, "en")) == [0, 1, 4]


@pytest.mark.parametrize(
    ("index", "rivals"), [(0, [1, 4]), (4, [0, 1]), (2, [3]), (5, [])], ids=["main", "main too", "softmax", "sigmoid"]
)
def test_rivals_are_the_classes_in_the_same_softmax(index: int, rivals: list[int]) -> None:
    assert FRUIT.rivals(index).tolist() == rivals


def test_without_a_softmax_there_are_no_rivals() -> None:
    assert Output("none", LABELS).rivals(0).tolist() == []

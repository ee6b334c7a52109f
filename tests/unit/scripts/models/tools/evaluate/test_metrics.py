"""The metrics of an evaluation, compared with values computed by hand."""

import numpy as np
import pytest

from scripts.models.tools.evaluate import metrics
from scripts.models.tools.evaluate.metrics import ClassMetrics, Confusion, Metrics, compute_metrics

# Six images of three classes, for a model with six; the answers at 0, 1 and 3 are right.
TRUTH = np.array([0, 0, 0, 1, 1, 2])
BEST = np.array([[0, 1, 2, 3, 4], [0, 3, 2, 1, 4], [1, 0, 2, 3, 4], [1, 0, 2, 3, 4], [0, 2, 3, 4, 5], [1, 3, 0, 4, 2]])
SCORES = np.array([0.95, 0.85, 0.75, 0.65, 0.60, 0.30])


@pytest.fixture
def found() -> Metrics:
    return compute_metrics(TRUTH, BEST, SCORES, 6, True)


def test_top_1_and_top_5_are_counted(found: Metrics) -> None:
    assert (found.images, found.top_1, found.top_5) == (6, 3 / 6, 5 / 6)


def test_top_5_does_not_apply_to_five_classes_or_fewer() -> None:
    assert compute_metrics(TRUTH, BEST, SCORES, 5, True).top_5 is None


def test_every_class_has_its_precision_and_recall(found: Metrics) -> None:
    assert found.classes == (ClassMetrics(0, 3, 3, 2), ClassMetrics(1, 2, 3, 1), ClassMetrics(2, 1, 0, 0))
    assert [(each.precision, each.recall) for each in found.classes] == [(2 / 3, 2 / 3), (1 / 3, 1 / 2), (None, 0)]
    assert ClassMetrics(7, 0, 1, 0).recall is None


def test_confusions_are_counted_most_frequent_first(found: Metrics) -> None:
    assert found.confusions == (Confusion(0, 1, 1), Confusion(1, 0, 1), Confusion(2, 1, 1))
    twice = metrics.confusions(np.array([2, 1, 1, 0]), np.array([0, 0, 0, 0]))
    assert twice == (Confusion(1, 0, 2), Confusion(2, 0, 1))
    assert metrics.confusion_matrix(found).tolist() == [[2, 1, 0], [1, 1, 0], [0, 1, 0]]


def test_the_worst_mistakes_have_the_highest_scores(found: Metrics) -> None:
    assert found.mistakes == (2, 4, 5)
    many = metrics.worst_mistakes(np.linspace(0, 1, 100), np.zeros(100, bool))
    assert many == tuple(range(99, 99 - metrics.MAX_MISTAKES, -1))


def test_the_calibration_error_is_that_of_the_paper(found: Metrics) -> None:
    gaps = [0.05, 0.15, 0.75, 0.35, 0.60, 0.30]  # |right - score| of each answer, alone in its bin
    assert found.calibration_error == pytest.approx(sum(gaps) / 6)
    assert [round(each.low * 15) for each in found.bins] == [4, 8, 9, 11, 12, 14]
    assert {each.images for each in found.bins} == {1}
    (shared,) = metrics.calibration_bins(np.array([0.81, 0.85]), np.array([True, False]))
    assert (shared.images, shared.right) == (2, 0.5)
    assert shared.score == pytest.approx(0.83)
    assert metrics.calibration_error((shared,)) == pytest.approx(0.33)


def test_a_bin_includes_its_upper_end_and_the_outer_bins_include_0_and_1() -> None:
    bins = metrics.calibration_bins(np.array([0.0, 0.2, 0.21, 1.0]), np.ones(4, bool))
    assert [(round(each.low * 15), round(each.high * 15)) for each in bins] == [(0, 1), (2, 3), (3, 4), (14, 15)]


def test_unsure_below_is_the_lowest_score_from_which_90_percent_are_right(found: Metrics) -> None:
    assert (found.unsure_below, found.unsure) == (0.76, 4 / 6)
    scores = np.linspace(0.5, 0.68, 10)
    assert metrics.unsure_below(scores, np.arange(10) != 9) == 0  # 9 of 10 are right
    assert metrics.unsure_below(scores, np.arange(10) > 1) == 0.53  # 8 of 9 are too few


def test_unsure_below_does_not_exist_if_the_highest_scores_are_wrong() -> None:
    found = compute_metrics(np.array([0, 1]), np.array([[1, 0], [1, 0]]), np.array([0.9, 0.8]), 2, True)
    assert (found.unsure_below, found.unsure) == (None, None)


def test_scores_are_rounded_as_in_answers() -> None:
    scores = np.array([0.29, 0.28], np.float32).astype(np.float64)
    assert scores[0] < 0.29 or scores[1] < 0.28  # float32 can represent neither
    found = compute_metrics(np.array([0, 0]), np.array([[0, 1], [1, 0]]), scores, 2, True)
    assert (found.unsure_below, found.unsure) == (0.29, 0.5)


def test_scores_that_are_not_probabilities_have_no_calibration() -> None:
    found = compute_metrics(TRUTH, BEST, SCORES * 40, 6, False)
    assert (found.calibration_error, found.bins, found.unsure_below, found.unsure) == (None, (), None, None)
    assert (found.top_1, found.mistakes) == (0.5, (2, 4, 5))


def test_right_answers_leave_nothing_confused() -> None:
    found = compute_metrics(TRUTH, np.stack([TRUTH, TRUTH + 1], axis=1), SCORES, 6, True)
    assert (found.top_1, found.confusions, found.mistakes, found.unsure_below) == (1, (), (), 0)

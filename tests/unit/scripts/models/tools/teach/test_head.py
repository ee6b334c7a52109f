"""Heads learned from features, and what cross-validation makes of them."""

import numpy as np
import pytest

from scripts.models.tools.teach.crossvalidation import KEPT, TARGET, WITH_VIEWS, sharpest, split, sure_from, teach
from scripts.models.tools.teach.duplicates import groups, learned_together
from scripts.models.tools.teach.head import Head, methods
from worker.models.labels import activate

CLASSES, WIDTH, EACH = 3, 20, 12


def clusters(spread: float = 0.4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features around a centre for each class, float32 [N, WIDTH], and their classes."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(CLASSES), EACH)
    centres = np.random.default_rng(9).normal(size=(CLASSES, WIDTH))
    return (5 + centres[truth] + rng.normal(0, spread, (len(truth), WIDTH))).astype(np.float32), truth


@pytest.mark.parametrize("name", methods(100, CLASSES))
@pytest.mark.parametrize("classes", [2, CLASSES])
def test_every_method_tells_new_features_apart(name: str, classes: int) -> None:
    features, truth = clusters()
    kept = truth < classes
    head = methods(100, classes)[name](features[kept, np.newaxis], truth[kept])
    others, expected = clusters(seed=1)
    chosen = expected < classes
    assert (head.logits(others[chosen]).argmax(axis=1) == expected[chosen]).mean() > 0.9


def test_a_feature_that_never_varies_does_no_harm() -> None:
    features, truth = clusters()
    features[:, 3] = 7
    for learn in methods(100, CLASSES).values():
        assert np.isfinite(learn(features[:, np.newaxis], truth).logits(features)).all()


def test_many_classes_are_not_learned_by_regression() -> None:
    assert [name for name in methods(10_000, 5_000) if "regression" in name] == []
    assert methods(10_000, 5_000)


def test_strangers_are_unsure_and_most_of_what_is_taught_is_not() -> None:
    features, truth = clusters()
    taught = teach(features[:, np.newaxis], truth, np.arange(len(truth)))
    strangers = 5 * np.random.default_rng(4).normal(size=(50, WIDTH)).astype(np.float32)
    new, expected = clusters(seed=2)
    assert (activate(taught.head.logits(strangers), "softmax").max(axis=1) < taught.unsure_below).mean() > 0.9
    scores = activate(taught.head.logits(new), "softmax")
    sure = scores.max(axis=1) >= taught.unsure_below
    assert sure.mean() > 0.7
    assert (scores.argmax(axis=1) == expected)[sure].mean() >= TARGET
    assert max(taught.accuracies.values()) == taught.accuracies[taught.method]


def test_views_are_learned_where_they_help() -> None:
    features, truth = clusters(3.0)
    others = np.stack([clusters(3.0, seed)[0] for seed in range(1, 9)], axis=1)
    whole = features[:, np.newaxis]
    plain = teach(whole, truth, np.arange(len(truth)))
    better = teach(np.concatenate([whole, others], axis=1), truth, np.arange(len(truth)))
    assert better.method.endswith(WITH_VIEWS)
    assert better.accuracies[better.method] > plain.accuracies[plain.method]
    worse = np.concatenate([whole, np.roll(others, EACH, axis=0)], axis=1)
    assert not teach(worse, truth, np.arange(len(truth))).method.endswith(WITH_VIEWS)


def test_images_of_one_group_are_in_one_fold_and_every_fold_has_every_class() -> None:
    truth = np.repeat([0, 1], 10)
    group = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, *range(9, 18), 17])
    folds = split(truth, group)
    assert folds[0] == folds[1]
    assert folds[-1] == folds[-2]
    assert {*folds[truth == 0]} == {*folds[truth == 1]} == {*range(5)}


def test_perfect_answers_are_not_made_certain() -> None:
    logits = np.eye(4, dtype=np.float32)[np.repeat(np.arange(4), 5)]
    factor, _ = sharpest(logits, np.repeat(np.arange(4), 5))
    assert 0.9 < activate(logits * np.float32(factor), "softmax").max() < 0.99


def test_the_threshold_keeps_most_and_is_1_where_nothing_is_right() -> None:
    scores = np.linspace(0.6, 0.99, 100)
    both = np.stack([scores, 1 - scores], axis=1)
    assert (scores >= sure_from(both, np.zeros(100, int))).mean() >= KEPT
    assert sure_from(both, np.ones(100, int)) == 1
    half = np.where(scores < 0.8, 1, 0)
    assert sure_from(both, half) == pytest.approx(0.8, abs=0.02)


def test_nearly_equal_images_are_one_group_unless_a_class_has_no_others() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (6, 256), np.uint8)
    bits[1] = bits[0]
    bits[1, :4] ^= 1
    bits[3] = bits[2]  # with other features
    features = rng.normal(size=(6, 8)).astype(np.float32)
    features[1] = features[0] * 1.01
    found = groups(np.packbits(bits, axis=1), features)
    assert found[0] == found[1]
    assert len({*found}) == 5
    assert len({*learned_together(found, np.array([0, 0, 1, 1, 1, 1]))}) == 6
    assert len({*learned_together(found, np.array([0, 0, 0, 1, 1, 1]))}) == 5


def test_the_distance_is_to_the_nearest_centre() -> None:
    head = Head(np.eye(2, dtype=np.float32), np.zeros(2, np.float32), np.eye(2, dtype=np.float32), reach=0.5)
    features = np.array([[3, 0], [0, 4], [-1, 0]], np.float32)
    assert head.distances(features) == pytest.approx([1e-6, 1e-6, 1])
    assert abs(head.logits(features)[2]).max() < 1e-6

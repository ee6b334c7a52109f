"""Metrics of a model's answers to labelled images. Pure arithmetic on numpy arrays.

Throughout, `truth` is the true class of every image, int [N]; `best` the predicted classes, best first, int [N, K];
`answered` the first of these, int [N]; `scores` its score, float64 [N]; `right` whether it is true, bool [N].
"""

from dataclasses import dataclass

import numpy as np

TOP = 5
BINS = 15  # of the calibration error, as in Guo et al.
TARGET_ACCURACY = 0.9  # of the answers that are not unsure
MAX_MISTAKES = 24  # shown
RULE = f"the lowest score (two decimals) from which on at least {TARGET_ACCURACY:.0%} of the held-out answers are right"


@dataclass(frozen=True)
class ClassMetrics:
    """One class: the numbers of its images, of the answers with it, and of the right ones among these."""

    index: int
    images: int
    answered: int
    right: int

    @property
    def precision(self) -> float | None:
        """Return the share of the answers with this class that are right; None without answers."""
        return self.right / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        """Return the share of the images of this class that were recognised; None without images."""
        return self.right / self.images if self.images else None


@dataclass(frozen=True)
class Confusion:
    """The number of images of class `truth` that were answered as `answered`."""

    truth: int
    answered: int
    images: int


@dataclass(frozen=True)
class Bin:
    """The answers with a score above `low` and up to `high`: their number, mean score and share of right ones."""

    low: float
    high: float
    images: int
    score: float
    right: float


@dataclass(frozen=True)
class Metrics:
    """The metrics of one evaluation; None if a metric does not apply.

    `top_5` does not apply to a model of 5 classes or fewer, the metrics of scores not to scores that are no
    probabilities. `unsure` is the share of answers below `unsure_below`. `classes` holds the occurring classes in the
    model's order, `confusions` the most frequent first, `mistakes` the positions of images by descending score.
    """

    images: int
    top_1: float
    top_5: float | None
    calibration_error: float | None
    bins: tuple[Bin, ...]
    unsure_below: float | None
    unsure: float | None
    classes: tuple[ClassMetrics, ...]
    confusions: tuple[Confusion, ...]
    mistakes: tuple[int, ...]


def compute_metrics(
    truth: np.ndarray, best: np.ndarray, scores: np.ndarray, classes: int, are_probabilities: bool
) -> Metrics:
    """Return the metrics of a model with `classes` classes; `are_probabilities` tells whether its scores are."""
    answered, scores = best[:, 0], np.round(scores, 6)  # as in the answer of POST /predict
    right = answered == truth
    bins = calibration_bins(scores, right) if are_probabilities else ()
    threshold = unsure_below(scores, right) if are_probabilities else None
    return Metrics(
        images=len(truth),
        top_1=float(right.mean()),
        top_5=float((best[:, :TOP] == truth[:, np.newaxis]).any(axis=1).mean()) if classes > TOP else None,
        calibration_error=calibration_error(bins) if are_probabilities else None,
        bins=bins,
        unsure_below=threshold,
        unsure=None if threshold is None else float((scores < threshold).mean()),
        classes=by_class(truth, answered),
        confusions=confusions(truth, answered),
        mistakes=worst_mistakes(scores, right),
    )


def by_class(truth: np.ndarray, answered: np.ndarray) -> tuple[ClassMetrics, ...]:
    """Return the metrics of every class in `truth` or `answered`."""
    size = int(max(truth.max(), answered.max())) + 1
    counts = [np.bincount(classes, minlength=size) for classes in (truth, answered, truth[truth == answered])]
    occurring = np.flatnonzero(counts[0] + counts[1]).tolist()
    return tuple(ClassMetrics(index, *(int(count[index]) for count in counts)) for index in occurring)


def confusions(truth: np.ndarray, answered: np.ndarray) -> tuple[Confusion, ...]:
    """Return the confused pairs of classes: the non-zero entries of the confusion matrix off its diagonal."""
    wrong = truth != answered
    pairs, counts = np.unique(np.stack([truth[wrong], answered[wrong]], axis=1), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return tuple(Confusion(int(pairs[row, 0]), int(pairs[row, 1]), int(counts[row])) for row in order)


def calibration_bins(scores: np.ndarray, right: np.ndarray) -> tuple[Bin, ...]:
    """Return the BINS bins of equal width over scores from 0 to 1, without the empty ones."""
    bin_of_score = np.clip(np.ceil(scores * BINS).astype(int) - 1, 0, BINS - 1)
    bins = []
    for number in np.unique(bin_of_score).tolist():
        inside = bin_of_score == number
        means = (float(scores[inside].mean()), float(right[inside].mean()))
        bins.append(Bin(number / BINS, (number + 1) / BINS, int(inside.sum()), *means))
    return tuple(bins)


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Return the expected calibration error: the mean distance between the score and the share of right answers.

    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks", 2017, equation 3.
    """
    total = sum(each.images for each in bins)
    return sum(each.images / total * abs(each.right - each.score) for each in bins)


def unsure_below(scores: np.ndarray, right: np.ndarray, target: float = TARGET_ACCURACY) -> float | None:
    """Return the lowest score (two decimals) from which on `target` of the answers are right; None if there is none.

    That is what RULE says for TARGET_ACCURACY.
    """
    for threshold in np.arange(101) / 100:
        sure = right[scores >= threshold]
        if len(sure) and sure.mean() >= target:
            return float(threshold)
    return None


def worst_mistakes(scores: np.ndarray, right: np.ndarray) -> tuple[int, ...]:
    """Return the positions of the MAX_MISTAKES wrong answers with the highest scores, highest first."""
    wrong = np.flatnonzero(~right)
    return tuple(wrong[np.argsort(-scores[wrong], kind="stable")][:MAX_MISTAKES].tolist())


def confusion_matrix(metrics: Metrics) -> np.ndarray:
    """Return the confusion matrix of the occurring classes, int [classes, classes], with a row for each true class."""
    position = {each.index: number for number, each in enumerate(metrics.classes)}
    matrix = np.diag([each.right for each in metrics.classes])
    for pair in metrics.confusions:
        matrix[position[pair.truth], position[pair.answered]] = pair.images
    return matrix

"""What answers to labelled images say of a model. Pure arithmetic on numpy arrays.

Throughout, `truth` holds the right class of every image, int [N]; `best` the classes answered, best first, int [N, K];
`scores` the score of the best, float64 [N].
"""

from dataclasses import dataclass

import numpy as np

TOP = 5
BINS = 15  # of the calibration error, as in Guo et al.
RIGHT = 0.9  # of the answers that are not unsure
WORST = 24  # mistakes that are shown
RULE = f"the lowest score (two decimals) from which on at least {RIGHT:.0%} of the held-out answers are right"


@dataclass(frozen=True)
class ClassFigures:
    """One class: how many images show it, how often it was answered, and how often that was right."""

    index: int
    images: int
    answered: int
    right: int

    @property
    def precision(self) -> float | None:
        """The share of the answers of this class that are right, None where it was never answered."""
        return self.right / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        """The share of the images of this class that were recognised, None where there are none."""
        return self.right / self.images if self.images else None


@dataclass(frozen=True)
class Confusion:
    """So many images of one class that were answered as another."""

    truth: int
    answered: int
    images: int


@dataclass(frozen=True)
class Bin:
    """The answers with a score above `low`, up to `high`: their mean score, and the share of them that is right."""

    low: float
    high: float
    images: int
    score: float
    right: float


@dataclass(frozen=True)
class Figures:
    """All of it; None for what has no meaning.

    `top_5` has none for a model of 5 classes or fewer, what is about scores none where these are not probabilities.
    `unsure` is the share of answers below `unsure_below`. `classes` are those that occur, in the order of the model;
    `confusions` come most frequent first, `mistakes` (positions of images) by falling score.
    """

    images: int
    top_1: float
    top_5: float | None
    calibration_error: float | None
    bins: tuple[Bin, ...]
    unsure_below: float | None
    unsure: float | None
    classes: tuple[ClassFigures, ...]
    confusions: tuple[Confusion, ...]
    mistakes: tuple[int, ...]


def figures(truth: np.ndarray, best: np.ndarray, scores: np.ndarray, classes: int, are_probabilities: bool) -> Figures:
    """Return the figures of a model with so many `classes`; `are_probabilities` tells whether scores are."""
    answered, scores = best[:, 0], np.round(scores, 6)  # as answers tell them
    right = answered == truth
    bins = calibration_bins(scores, right) if are_probabilities else ()
    border = unsure_below(scores, right) if are_probabilities else None
    return Figures(
        images=len(truth),
        top_1=float(right.mean()),
        top_5=float((best[:, :TOP] == truth[:, np.newaxis]).any(axis=1).mean()) if classes > TOP else None,
        calibration_error=calibration_error(bins) if are_probabilities else None,
        bins=bins,
        unsure_below=border,
        unsure=None if border is None else float((scores < border).mean()),
        classes=by_class(truth, answered),
        confusions=confusions(truth, answered),
        mistakes=worst(scores, right),
    )


def by_class(truth: np.ndarray, answered: np.ndarray) -> tuple[ClassFigures, ...]:
    """Return the figures of every class that is in `truth` or in `answered`, int [N] both."""
    size = int(max(truth.max(), answered.max())) + 1
    counts = [np.bincount(found, minlength=size) for found in (truth, answered, truth[truth == answered])]
    occurring = np.flatnonzero(counts[0] + counts[1]).tolist()
    return tuple(ClassFigures(index, *(int(count[index]) for count in counts)) for index in occurring)


def confusions(truth: np.ndarray, answered: np.ndarray) -> tuple[Confusion, ...]:
    """Return the pairs of classes that were confused: the confusion matrix off its diagonal, without its zeros."""
    wrong = truth != answered
    pairs, counts = np.unique(np.stack([truth[wrong], answered[wrong]], axis=1), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return tuple(Confusion(int(pairs[turn, 0]), int(pairs[turn, 1]), int(counts[turn])) for turn in order)


def calibration_bins(scores: np.ndarray, right: np.ndarray) -> tuple[Bin, ...]:
    """Return BINS of equal width over scores from 0 to 1, those without an answer left out."""
    number = np.clip(np.ceil(scores * BINS).astype(int) - 1, 0, BINS - 1)
    found = []
    for turn in np.unique(number).tolist():
        inside = number == turn
        share = (float(scores[inside].mean()), float(right[inside].mean()))
        found.append(Bin(turn / BINS, (turn + 1) / BINS, int(inside.sum()), *share))
    return tuple(found)


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Return the expected calibration error: how far scores are from the share of right answers, on average.

    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks", 2017, equation 3.
    """
    total = sum(one.images for one in bins)
    return sum(one.images / total * abs(one.right - one.score) for one in bins)


def unsure_below(scores: np.ndarray, right: np.ndarray) -> float | None:
    """Return the score below which an answer is unsure, None where there is none.

    It is the lowest score (two decimals) from which on at least RIGHT of the held-out answers are right.
    """
    for border in np.arange(101) / 100:
        kept = right[scores >= border]
        if len(kept) and kept.mean() >= RIGHT:
            return float(border)
    return None


def worst(scores: np.ndarray, right: np.ndarray) -> tuple[int, ...]:
    """Return the positions of the WORST wrong answers with the highest scores, highest first."""
    wrong = np.flatnonzero(~right)
    return tuple(wrong[np.argsort(-scores[wrong], kind="stable")][:WORST].tolist())


def matrix(found: Figures) -> np.ndarray:
    """Return the confusion matrix of the classes that occur, int [classes, classes]: a row for each right class."""
    at = {one.index: turn for turn, one in enumerate(found.classes)}
    table = np.diag([one.right for one in found.classes])
    for pair in found.confusions:
        table[at[pair.truth], at[pair.answered]] = pair.images
    return table

"""Find images that are probably in the wrong class. Pure."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Doubt:
    """The image at `position` is of class `truth`, but was answered as `answered`, by heads that had not seen it."""

    position: int
    truth: int
    answered: int
    score: float


def doubts(scores: np.ndarray, truth: np.ndarray) -> list[Doubt]:
    """Return the images that are answered as another class as surely as that class's own images are on average.

    The most certain are first; `scores` are [N, K], by heads that had not seen the images. This is confident learning:
    C. Northcutt, L. Jiang and I. Chuang, "Confident learning: estimating uncertainty in dataset labels", 2021,
    section 3.1.
    """
    own = scores[np.arange(len(truth)), truth]
    images = np.bincount(truth, minlength=scores.shape[1])
    means = np.bincount(truth, own, scores.shape[1]) / np.maximum(images, 1)
    answered = scores.argmax(axis=1)
    best = scores.max(axis=1)
    found = np.flatnonzero((answered != truth) & (best >= means[answered]))
    order = found[np.argsort(own[found] - best[found], kind="stable")]
    return [Doubt(each, int(truth[each]), int(answered[each]), float(best[each])) for each in order.tolist()]

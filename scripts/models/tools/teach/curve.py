"""How the accuracy grows with the number of images, and what more of them would give. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

PARTS = (0.25, 0.5)  # of the images, which are learned from beside all of them
MORE = 2  # times the images: how far the curve is continued
DRAWS = 2  # samples of few images for each part: their mean depends less on chance
MANY = 400  # images, from which on one sample will do: learning from it takes as long as the rest of the report
MAX_POWER = 1.0  # errors that shrink faster than the number of images grows are chance
SEED = 0


@dataclass(frozen=True)
class Point:
    """The cross-validated accuracy with so many images."""

    images: int
    accuracy: float


@dataclass(frozen=True)
class Curve:
    """The points, fewest images first; `expected` is the accuracy with MORE times the images, None if not known."""

    points: tuple[Point, ...]
    expected: float | None


# Return which of the images are answered rightly, bool [N], by heads that may learn from those that are chosen alone.
Check = Callable[[np.ndarray], np.ndarray]


def learning_curve(check: Check, truth: np.ndarray, right: np.ndarray) -> Curve:
    """Return the accuracy with PARTS of the images and with all, where `right`, bool [N], are answered rightly.

    A part is left out if a class would have fewer than two images in it.
    """
    whole = Point(len(truth), float(right.mean()))
    smallest = int(np.bincount(truth).min())
    points = []
    for part in (part for part in PARTS if part * smallest >= 2):
        samples = [_sample(truth, part, SEED + draw) for draw in range(DRAWS if len(truth) < MANY else 1)]
        accuracy = float(np.mean([check(chosen).mean() for chosen in samples]))
        points.append(Point(int(samples[0].sum()), accuracy))
    return Curve((*points, whole), expected((*points, whole)))


def expected(points: tuple[Point, ...]) -> float | None:
    """Return the accuracy with MORE times the images of the last of `points`; None with a single one.

    The share of wrong answers falls as a power of the number of images (J. Hestness et al., "Deep learning scaling is
    predictable, empirically", 2017); the power is fitted by least squares in logarithms.
    """
    if len(points) < 2:
        return None
    last = points[-1]
    floor = 0.5 / last.images  # no mistake among so many images may still mean some
    wrong = np.log([max(1 - each.accuracy, floor) for each in points])
    slope = float(np.polyfit(np.log([each.images for each in points]), wrong, 1)[0])
    return float(1 - (1 - last.accuracy) * MORE ** -min(max(-slope, 0), MAX_POWER))


def _sample(truth: np.ndarray, part: float, seed: int) -> np.ndarray:
    """Return a choice of a `part` of the images of each class, bool [N]."""
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(truth), bool)
    for index in np.unique(truth):
        images = np.flatnonzero(truth == index)
        chosen[rng.permutation(images)[: max(2, round(part * len(images)))]] = True
    return chosen

"""Choose how to learn by stratified cross-validation, and what a score must be for an answer to be sure. Pure."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.model_selection import StratifiedKFold

from scripts.models.tools.evaluate.metrics import unsure_below
from scripts.models.tools.teach.head import Head, Method, methods, nearness
from worker.models.labels import SOFTMAX, activate

FOLDS = 5
SEED = 0
TRIED_WITH_VIEWS = 2  # of the methods, the best
WITH_VIEWS = ", with flips and crops"  # of a method's name
TARGET = 0.95  # of the answers that are not unsure, the share that is right
KEPT = 0.95  # at most, of the images of the taught classes, the share that is not unsure: strangers score as the rest
NEAR = 0.95  # of the images of the taught classes, the share within reach
MAX_FITTED = 1_000_000  # logits to which the sharpness is fitted: of so many, some of the images will do
SHARPNESS = np.logspace(-3, 2, 101)  # factors of the logits that are tried


@dataclass(frozen=True)
class Taught:
    """A learned head, and what each image was answered by heads that had not seen it.

    `scores` is float32 [N, K]; `accuracies` are by method, best first; `learn` is the best one, `folds` the fold of
    each image, int [N].
    """

    head: Head
    method: str
    learn: Method
    folds: np.ndarray
    accuracies: dict[str, float]
    scores: np.ndarray
    unsure_below: float


def teach(features: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> Taught:
    """Learn a head from `features` [N, V, D] by the method that cross-validation finds best.

    Of the views V of an image, the first is the image as it is: it alone is judged. The best methods that learn
    from it are tried with all. Images of the same group, int [N], are never on both sides. Each class needs two
    groups.
    """
    folds = split(truth, groups)
    candidates = methods(*_size(truth))
    best, accuracies = _best_of(candidates, features, truth, folds)
    if features.shape[1] > 1:
        names = sorted(accuracies, key=lambda name: (name != best.name, -accuracies[name]))[:TRIED_WITH_VIEWS]
        more = {name + WITH_VIEWS: replace(candidates[name], all_views=True) for name in names}
        with_views, accuracy = _best_of(more, features, truth, folds)
        best, accuracies = min(best, with_views, key=_Trial.rank), accuracies | accuracy
    whole, factor = features[:, 0], best.factor
    distances = np.empty(len(truth), np.float32)
    for number, head in enumerate(best.heads):
        distances[folds == number] = head.distances(whole[folds == number])
    reach = float(np.quantile(distances, NEAR))
    scores = activate(best.logits * np.float32(factor) * nearness(distances, reach), SOFTMAX)
    head = replace(best.learn(features, truth).sharpened(factor), reach=reach)
    order = sorted(accuracies, key=lambda name: (-accuracies[name], name != best.name))
    ordered = {name: accuracies[name] for name in order}
    return Taught(head, best.name, best.learn, folds, ordered, scores, sure_from(scores, truth))


@dataclass(frozen=True)
class _Trial:
    """A way to learn, the heads of its folds, and their logits [N, K]; `factor` sharpens these to the mean `loss`."""

    name: str
    learn: Method
    heads: Sequence[Head]
    logits: np.ndarray
    accuracy: float
    factor: float
    loss: float

    def rank(self) -> tuple[float, float]:
        """Return what is lowest for the best of several."""
        return -self.accuracy, self.loss


def _try(name: str, learn: Method, features: np.ndarray, truth: np.ndarray, folds: np.ndarray) -> _Trial:
    heads = learn_folds(learn, features, truth, folds)
    logits = answers(heads, features[:, 0], folds)
    accuracy = float((logits.argmax(axis=1) == truth).mean())
    return _Trial(name, learn, heads, logits, accuracy, *sharpest(logits, truth))


def _best_of(
    methods: Mapping[str, Method], features: np.ndarray, truth: np.ndarray, folds: np.ndarray
) -> tuple[_Trial, dict[str, float]]:
    """Return the best of several ways to learn, and the accuracy of each by name.

    Only the best is kept meanwhile: with thousands of classes, logits are large.
    """
    trials = (_try(name, learn, features, truth, folds) for name, learn in methods.items())
    best = next(trials)
    accuracies = {best.name: best.accuracy}
    for trial in trials:
        accuracies[trial.name] = trial.accuracy
        best = min(best, trial, key=_Trial.rank)
    return best, accuracies


def _size(truth: np.ndarray) -> tuple[int, int]:
    """Return the number of images and of classes."""
    return len(truth), int(truth.max()) + 1


def right_answers(taught: Taught, features: np.ndarray, truth: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return which images are answered rightly, bool [N], by heads of the other folds that learned `chosen` alone."""
    right = np.zeros(len(truth), bool)
    for number in np.unique(taught.folds):
        inside, others = taught.folds == number, chosen & (taught.folds != number)
        if len(np.unique(truth[others])) == int(truth.max()) + 1:
            head = taught.learn(features[others], truth[others])
            right[inside] = head.linear(features[inside, 0]).argmax(axis=1) == truth[inside]
    return right


def split(truth: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the fold of each image, int [N], with the classes alike in all folds and each group in one."""
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    largest = int(np.bincount(truth[first]).max())
    folds = np.zeros(len(first), int)
    splitter = StratifiedKFold(min(FOLDS, largest), shuffle=True, random_state=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class may have fewer images than there are folds
        for number, (_, chosen) in enumerate(splitter.split(first, truth[first])):
            folds[chosen] = number
    return folds[member]


def learn_folds(learn: Method, features: np.ndarray, truth: np.ndarray, folds: np.ndarray) -> list[Head]:
    """Return a head for each fold, learned from the others."""
    return [learn(features[folds != number], truth[folds != number]) for number in range(int(folds.max()) + 1)]


def answers(heads: Sequence[Head], features: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the logits [N, K] of every image by the head of its fold."""
    logits = np.empty((len(features), len(heads[0].bias)), np.float32)
    for number, head in enumerate(heads):
        logits[folds == number] = head.linear(features[folds == number])
    return logits


def sharpest(logits: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return the factor of `logits` with which the scores fit `truth` best, and the mean log loss with it.

    This is temperature scaling: C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural
    networks", 2017, section 4.2. One more image than there are counts as answered wrongly, or the scores of classes
    that are told apart without a mistake would all be 1 (J. Platt, "Probabilistic outputs for support vector machines",
    1999, section 2.2).
    """
    wrong = 1 / (len(truth) + 2)
    step = 1 + logits.size // MAX_FITTED
    logits, truth = logits[::step], truth[::step]
    centred = logits - logits.max(axis=1, keepdims=True)
    right = centred[np.arange(len(truth)), truth]
    others = (centred.sum(axis=1) - right) / (centred.shape[1] - 1)
    aimed = (1 - wrong) * right + wrong * others
    losses = [float((np.log(np.exp(centred * f).sum(axis=1)) - aimed * f).mean()) for f in SHARPNESS]
    best = int(np.argmin(losses))
    return float(SHARPNESS[best]), losses[best]


def sure_from(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the score from which on an answer is sure: TARGET of those are right, and at most KEPT of all are sure.

    1 if no score is high enough.
    """
    best, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    reached = unsure_below(best, right, TARGET)
    kept = math.floor(np.quantile(best, 1 - KEPT) * 100) / 100
    return 1.0 if reached is None else round(max(reached, kept), 2)

"""Choose how to learn by stratified cross-validation, and what a score must be for an answer to be sure. Pure."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.model_selection import StratifiedKFold

from scripts.models.tools.evaluate.metrics import unsure_below
from scripts.models.tools.teach.head import Head, Learn, methods, nearness
from worker.models.labels import SOFTMAX, activate

FOLDS = 5
SEED = 0
TARGET = 0.95  # of the answers that are not unsure, the share that is right
KEPT = 0.95  # at most, of the images of the taught classes, the share that is not unsure: strangers score as the rest
NEAR = 0.95  # of the images of the taught classes, the share within reach
SHARPNESS = np.logspace(-3, 2, 101)  # factors of the logits that are tried


@dataclass(frozen=True)
class Taught:
    """A learned head, and what each image was answered by heads that had not seen it.

    `scores` is float32 [N, K]; `accuracies` are by method, best first; `learn` is the best one, `folds` the fold of
    each image, int [N].
    """

    head: Head
    method: str
    learn: Learn
    folds: np.ndarray
    accuracies: dict[str, float]
    scores: np.ndarray
    unsure_below: float


def teach(features: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> Taught:
    """Learn a head from `features` [N, D] by the method that cross-validation finds best.

    Images of the same group, int [N], are never on both sides. Each class needs two groups.
    """
    folds = split(truth, groups)
    candidates = methods(len(truth), int(truth.max()) + 1)
    heads = {name: learn_folds(learn, features, truth, folds) for name, learn in candidates.items()}
    logits = {name: answers(found, features, folds) for name, found in heads.items()}
    accuracies = {name: float((one.argmax(axis=1) == truth).mean()) for name, one in logits.items()}
    losses = {name: sharpest(one, truth)[1] for name, one in logits.items()}
    order = sorted(candidates, key=lambda name: (-accuracies[name], losses[name]))
    best = order[0]
    factor, _ = sharpest(logits[best], truth)
    distances = np.empty(len(truth), np.float32)
    for number, head in enumerate(heads[best]):
        distances[folds == number] = head.distances(features[folds == number])
    reach = float(np.quantile(distances, NEAR))
    scores = activate(logits[best] * np.float32(factor) * nearness(distances, reach), SOFTMAX)
    head = replace(candidates[best](features, truth).sharpened(factor), reach=reach)
    threshold = sure_from(scores, truth)
    by_method = {name: accuracies[name] for name in order}
    return Taught(head, best, candidates[best], folds, by_method, scores, threshold)


def right_answers(taught: Taught, features: np.ndarray, truth: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return which images are answered rightly, bool [N], by heads of the other folds that learned `chosen` alone."""
    right = np.zeros(len(truth), bool)
    for number in np.unique(taught.folds):
        inside, others = taught.folds == number, chosen & (taught.folds != number)
        if len(np.unique(truth[others])) == int(truth.max()) + 1:
            head = taught.learn(features[others], truth[others])
            right[inside] = head.linear(features[inside]).argmax(axis=1) == truth[inside]
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


def learn_folds(learn: Learn, features: np.ndarray, truth: np.ndarray, folds: np.ndarray) -> list[Head]:
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
    centred = logits - logits.max(axis=1, keepdims=True)
    wrong = 1 / (len(truth) + 2)
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

"""From logits to answers: the classes that compete for the label, and the attributes that stand beside it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from worker.models.labels import SIGMOID, SOFTMAX, Labels, Row, activate, best

TOP_K, THRESHOLD = 5, 0.0
REPORTED = 0.5  # a sigmoid's even odds


@dataclass(frozen=True)
class Group:
    """Classes that compete with one another alone: an attribute, such as ripe or unripe.

    Those of a sigmoid group do not even compete with one another; they are reported from the score `threshold` on.
    """

    name: str
    classes: tuple[int, ...]
    activation: str
    threshold: float = REPORTED


@dataclass(frozen=True)
class Output:
    """How logits become scores, what the classes are called, and how much of it is told unless a request says.

    An answer whose best score is below `unsure_below` is not confident; None where the model states no such score.
    """

    activation: str
    labels: Labels
    top_k: int = TOP_K
    threshold: float = THRESHOLD
    groups: tuple[Group, ...] = ()
    unsure_below: float | None = None

    @cached_property
    def main(self) -> np.ndarray:
        """The classes that compete for the label, those in no group: int [M], rising."""
        grouped = [index for group in self.groups for index in group.classes]
        return np.setdiff1d(np.arange(self.labels.count), grouped)

    def scores(self, logits: np.ndarray, activation: str | None = None) -> np.ndarray:
        """Scores of float32 `logits` [..., classes], of the same shape: each group's by its own activation.

        Those of the main classes by `activation`, or the model's own when it is None.
        """
        if not self.groups:
            return activate(logits, activation or self.activation)
        scores = np.empty_like(logits)
        scores[..., self.main] = activate(logits[..., self.main], activation or self.activation)
        for group in self.groups:
            classes = list(group.classes)
            scores[..., classes] = activate(logits[..., classes], group.activation)
        return scores

    def best(self, scores: np.ndarray, count: int) -> list[int]:
        """The `count` best main classes by `scores` [classes], best first."""
        return self.main[best(scores[self.main], count)].tolist() if self.groups else best(scores, count)

    def confident(self, scores: np.ndarray) -> bool | None:
        """Return whether the best main class of `scores` [classes] reaches `unsure_below`; None where there is none."""
        return None if self.unsure_below is None else bool(scores[self.best(scores, 1)[0]] >= self.unsure_below)

    def predictions(self, scores: np.ndarray, top_k: int, threshold: float, wanted: str) -> list[Row]:
        """The best `top_k` main classes of `scores` [classes] that reach `threshold`, best first.

        A threshold of 0 keeps all: scores without an activation may be negative.
        """
        return [
            self.labels.row(index, scores[index], wanted)
            for index in self.best(scores, top_k)
            if threshold == 0 or scores[index] >= threshold
        ]

    def attributes(self, scores: np.ndarray, wanted: str) -> dict[str, Row | list[Row]]:
        """What each group says: its best class, or of a sigmoid group all that reach its threshold, best first."""
        return {group.name: self._attribute(group, scores, wanted) for group in self.groups}

    def rivals(self, index: int) -> np.ndarray:
        """The other classes in the softmax that class `index` is in: int [R], none where it is in none."""
        group = next((group for group in self.groups if index in group.classes), None)
        classes, activation = (group.classes, group.activation) if group else (self.main, self.activation)
        return np.setdiff1d(classes, index) if activation == SOFTMAX else np.array([], int)

    def _attribute(self, group: Group, scores: np.ndarray, wanted: str) -> Row | list[Row]:
        classes = np.array(group.classes)
        order = classes[best(scores[classes], len(classes))].tolist()
        if group.activation != SIGMOID:
            return self.labels.row(order[0], scores[order[0]], wanted)
        return [self.labels.row(index, scores[index], wanted) for index in order if scores[index] >= group.threshold]

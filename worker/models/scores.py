"""Turn logits into answers: the predictions of the main classes, and the attributes of the groups."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from worker.models.labels import SIGMOID, SOFTMAX, Labels, Row, activate, best

TOP_K, THRESHOLD = 5, 0.0
DEFAULT_GROUP_THRESHOLD = 0.5  # the sigmoid of logit 0


@dataclass(frozen=True)
class Group:
    """Classes that compete only with one another: an attribute, such as ripe or unripe.

    The classes of a sigmoid group are independent; those with a score of at least `threshold` are reported.
    """

    name: str
    classes: tuple[int, ...]
    activation: str
    threshold: float = DEFAULT_GROUP_THRESHOLD


@dataclass(frozen=True)
class Output:
    """How logits become scores, the labels of the classes, and the defaults of a request's top_k and threshold.

    `tensor` names the network's output that has the logits; "" stands for its only one.
    An answer whose best score is below `unsure_below` is not confident; None if the model defines no such score.
    """

    activation: str
    labels: Labels
    top_k: int = TOP_K
    threshold: float = THRESHOLD
    groups: tuple[Group, ...] = ()
    unsure_below: float | None = None
    tensor: str = ""

    @cached_property
    def main(self) -> np.ndarray:
        """The main classes, which compete for the label and are in no group: int [M], ascending."""
        grouped = [index for group in self.groups for index in group.classes]
        return np.setdiff1d(np.arange(self.labels.count), grouped)

    def scores(self, logits: np.ndarray, activation: str | None = None) -> np.ndarray:
        """Return the scores of float32 `logits` [..., classes], in the same shape.

        Each group uses its own activation, the main classes use `activation`, or the model's if it is None.
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
        """Return the `count` best main classes by `scores` [classes], best first."""
        return self.main[best(scores[self.main], count)].tolist() if self.groups else best(scores, count)

    def confident(self, scores: np.ndarray) -> bool | None:
        """Return whether the best main class of `scores` [classes] reaches `unsure_below`; None if that is None."""
        if self.unsure_below is None:
            return None
        main = scores[self.main] if self.groups else scores
        return bool(main[main.argmax()] >= self.unsure_below)  # `max` is Python code, and `best` needs argmax anyway

    def predictions(self, scores: np.ndarray, top_k: int, threshold: float, language: str) -> list[Row]:
        """Return the best `top_k` main classes of `scores` [classes] that reach `threshold`, best first.

        A threshold of 0 keeps all, since scores without an activation may be negative.
        """
        return [
            self.labels.row(index, scores[index], language)
            for index in self.best(scores, top_k)
            if threshold == 0 or scores[index] >= threshold
        ]

    def attributes(self, scores: np.ndarray, language: str) -> dict[str, Row | list[Row]]:
        """Return each group's best class, or for a sigmoid group all classes that reach its threshold, best first."""
        return {group.name: self._attribute(group, scores, language) for group in self.groups}

    def rivals(self, index: int) -> np.ndarray:
        """Return the other classes in the softmax of class `index`: int [R], empty if its activation is another."""
        group = next((group for group in self.groups if index in group.classes), None)
        classes, activation = (group.classes, group.activation) if group else (self.main, self.activation)
        return np.setdiff1d(classes, index) if activation == SOFTMAX else np.array([], int)

    def _attribute(self, group: Group, scores: np.ndarray, language: str) -> Row | list[Row]:
        classes = np.array(group.classes)
        order = classes[best(scores[classes], len(classes))].tolist()
        if group.activation != SIGMOID:
            return self.labels.row(order[0], scores[order[0]], language)
        return [self.labels.row(index, scores[index], language) for index in order if scores[index] >= group.threshold]

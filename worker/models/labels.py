"""From a network's numbers to names: activation, the best few, and what they are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

SOFTMAX, SIGMOID = "softmax", "sigmoid"
ACTIVATIONS = (SOFTMAX, SIGMOID, "none")
LANGUAGES = ("zh", "en")  # those that every row has a key for; a model may have more, or lack one
FEW = 10  # of the best, found one after the other sooner than by sorting

Row = dict[str, object]


def activate(logits: np.ndarray, activation: str) -> np.ndarray:
    """Scores of float32 `logits`, of the same shape [..., classes], by `activation` over the last axis."""
    if activation == SOFTMAX:
        # In place, and by the functions below numpy's methods: half the time, for a code that is cold.
        powers = logits - np.maximum.reduce(logits, axis=-1, keepdims=True)
        np.exp(powers, out=powers)
        powers /= np.add.reduce(powers, axis=-1, keepdims=True)
        return powers
    if activation == SIGMOID:
        return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    return logits


def best(scores: np.ndarray, count: int) -> list[int]:
    """The indices of the `count` largest of `scores` [N], largest first, equal ones in their own order."""
    left, found = scores.astype(np.float64), []
    for _ in range(min(count, len(scores)) if count <= FEW else 0):
        index = int(left.argmax())
        if not left[index] > -np.inf:  # nor is what is not a number
            return _sorted(scores, count)
        found.append(index)
        left[index] = -np.inf
    return found or _sorted(scores, count)


def _sorted(scores: np.ndarray, count: int) -> list[int]:
    among = np.arange(len(scores))
    if count < len(scores):  # sorting all of 54,092 would take longer than a fast network
        # Asked this way round, for what is not a number is not below anything either.
        among = np.flatnonzero(~(scores < np.partition(scores, -count)[-count]))
    return among[np.argsort(-scores[among], kind="stable")][:count].tolist()


@dataclass(frozen=True)
class Labels:
    """The names of every class, by language code; line number is index."""

    names: Mapping[str, tuple[str, ...]]

    @property
    def count(self) -> int:
        return len(next(iter(self.names.values())))

    def shown(self, index: int, wanted: str) -> str:
        """One text for class `index`: in the language `wanted`, or for BOTH in those of LANGUAGES that there are.

        A model without either is shown in its first language.
        """
        if wanted in self.names:
            return self.names[wanted][index]
        return " ".join(dict.fromkeys(names[index] for names in self._spoken))

    def row(self, index: int, score: float, wanted: str) -> Row:
        """Class `index` with its score as the contract has it: `label` as `wanted`, and a `label_*` per language."""
        names = {key: column and column[index] for key, column in self._columns}
        return {"label": self.shown(index, wanted), **names, "index": index, "score": round(float(score), 6)}

    @cached_property
    def _columns(self) -> tuple[tuple[str, tuple[str, ...] | None], ...]:
        """The `label_*` of a row, and the names of all classes in that language, None where the model has none."""
        languages = dict.fromkeys((*sorted(LANGUAGES), *self.names))
        return tuple((f"label_{language}", self.names.get(language)) for language in languages)

    @cached_property
    def _spoken(self) -> tuple[tuple[str, ...], ...]:
        """The names of all classes in each of the languages of BOTH, or in the first where the model has neither."""
        spoken = [language for language in LANGUAGES if language in self.names] or list(self.names)[:1]
        return tuple(self.names[language] for language in spoken)

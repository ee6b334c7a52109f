"""Turn a network's logits into labels: the activation, the best classes and their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

SOFTMAX, SIGMOID = "softmax", "sigmoid"
ACTIVATIONS = (SOFTMAX, SIGMOID, "none")
LANGUAGES = ("zh", "en")  # every row has a key for these; a model may have others, or lack one
MAX_REPEATED_ARGMAX = 10  # up to this many best classes, repeated argmax is faster than sorting

Row = dict[str, object]


def activate(logits: np.ndarray, activation: str) -> np.ndarray:
    """Return the scores of float32 `logits` [..., classes], in the same shape; the activation is over the last axis."""
    if activation == SOFTMAX:
        # In place, and with ufuncs instead of array methods: half the time when the code is not in the CPU's caches.
        powers = logits - np.maximum.reduce(logits, axis=-1, keepdims=True)
        np.exp(powers, out=powers)
        powers /= np.add.reduce(powers, axis=-1, keepdims=True)
        return powers
    if activation == SIGMOID:
        return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    return logits


def best(scores: np.ndarray, count: int) -> list[int]:
    """Return the indices of the `count` largest of `scores` [N], largest first, equal ones by index."""
    remaining, indices = scores.astype(np.float64), []
    for _ in range(min(count, len(scores)) if count <= MAX_REPEATED_ARGMAX else 0):
        index = int(remaining.argmax())
        if not remaining[index] > -np.inf:  # -inf, or NaN
            return _sorted(scores, count)
        indices.append(index)
        remaining[index] = -np.inf
    return indices or _sorted(scores, count)


def _sorted(scores: np.ndarray, count: int) -> list[int]:
    candidates = np.arange(len(scores))
    if count < len(scores):  # sorting 54,092 classes would take longer than a fast network
        # `~ <` instead of `>=`, so that NaN is included.
        candidates = np.flatnonzero(~(scores < np.partition(scores, -count)[-count]))
    return candidates[np.argsort(-scores[candidates], kind="stable")][:count].tolist()


@dataclass(frozen=True)
class Labels:
    """The names of all classes by language code; the position of a name is the class index."""

    names: Mapping[str, tuple[str, ...]]

    @property
    def count(self) -> int:
        return len(next(iter(self.names.values())))

    def name(self, index: int, language: str) -> str:
        """Return the name of class `index` in `language`; for BOTH, in each of LANGUAGES that the model has.

        A model with neither language is shown in its first one.
        """
        return self.names[language][index] if language in self.names else self._both[index]

    def row(self, index: int, score: float, language: str) -> Row:
        """Return class `index` as an answer's row: `label` in `language`, a `label_*` per language, index and score."""
        names = {key: column and column[index] for key, column in self._columns}
        return {"label": self.name(index, language), **names, "index": index, "score": round(float(score), 6)}

    @cached_property
    def _columns(self) -> tuple[tuple[str, tuple[str, ...] | None], ...]:
        """Each `label_*` key of a row with the names of all classes in its language, None if the model lacks it."""
        languages = dict.fromkeys((*sorted(LANGUAGES), *self.names))
        return tuple((f"label_{language}", self.names.get(language)) for language in languages)

    @cached_property
    def _both(self) -> tuple[str, ...]:
        """The names of all classes for BOTH."""
        languages = [language for language in LANGUAGES if language in self.names] or list(self.names)[:1]
        rows = zip(*(self.names[language] for language in languages), strict=True)
        return tuple(" ".join(dict.fromkeys(names)) for names in rows)

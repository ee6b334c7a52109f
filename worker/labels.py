"""From a network's numbers to names: activation, the best few, and what they are called."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SOFTMAX, SIGMOID = "softmax", "sigmoid"
ACTIVATIONS = (SOFTMAX, SIGMOID, "none")
LANGUAGES = ("zh", "en")  # those that every row has a key for; a model may have more, or lack one
BOTH = "both"

Row = dict[str, object]


def activate(logits: np.ndarray, activation: str) -> np.ndarray:
    """Scores of float32 `logits`, of the same shape [..., classes], by `activation` over the last axis."""
    if activation == SOFTMAX:
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)
    if activation == SIGMOID:
        return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    return logits


def best(scores: np.ndarray, count: int) -> np.ndarray:
    """The indices of the `count` largest of `scores` [N], largest first, equal ones in their own order."""
    among = np.arange(len(scores))
    if count < len(scores):  # sorting all of 54,092 would take longer than a fast network
        # Asked this way round, for what is not a number is not below anything either.
        among = np.flatnonzero(~(scores < np.partition(scores, -count)[-count]))
    return among[np.argsort(-scores[among], kind="stable")][:count]


@dataclass(frozen=True)
class Labels:
    """The names of every class, by language code; line number is index."""

    names: Mapping[str, tuple[str, ...]]

    @property
    def count(self) -> int:
        return len(next(iter(self.names.values())))

    def name(self, index: int, language: str) -> str | None:
        """The name of class `index` in `language`, or None where the model has none."""
        return self.names[language][index] if language in self.names else None

    def shown(self, index: int, wanted: str) -> str:
        """One text for class `index`: in the language `wanted`, or for BOTH in those of LANGUAGES that there are.

        A model without either is shown in its first language.
        """
        if wanted in self.names:
            return self.names[wanted][index]
        spoken = [language for language in LANGUAGES if language in self.names] or list(self.names)[:1]
        return " ".join(dict.fromkeys(self.names[language][index] for language in spoken))

    def row(self, index: int, score: float, wanted: str) -> Row:
        """Class `index` with its score as the contract has it: `label` as `wanted`, and a `label_*` per language."""
        languages = dict.fromkeys((*sorted(LANGUAGES), *self.names))
        names = {f"label_{language}": self.name(index, language) for language in languages}
        return {"label": self.shown(index, wanted), **names, "index": index, "score": round(float(score), 6)}

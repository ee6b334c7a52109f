"""From a network's numbers to names: activation, the best few, and what they are called."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

ACTIVATIONS = ("softmax", "sigmoid", "none")
LANGUAGES = ("zh", "en")


def activate(logits: np.ndarray, activation: str) -> np.ndarray:
    """Scores of float32 `logits`, of the same shape [..., classes], by `activation` over the last axis."""
    if activation == "softmax":
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)
    if activation == "sigmoid":
        return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    return logits


@dataclass(frozen=True)
class Labels:
    """The names of every class, by language; line number is index."""

    names: Mapping[str, tuple[str, ...]]

    @property
    def count(self) -> int:
        return len(next(iter(self.names.values())))

    def name(self, index: int, language: str) -> str | None:
        """The name of class `index` in `language`, or None where the model has none."""
        return self.names[language][index] if language in self.names else None

    def shown(self, index: int, wanted: str) -> str:
        """One text for class `index`: in one language, or in all there are when `wanted` is "both"."""
        if wanted in self.names:
            return self.names[wanted][index]
        return " ".join(dict.fromkeys(self.names[language][index] for language in LANGUAGES if language in self.names))

    def top(self, scores: np.ndarray, top_k: int, threshold: float, wanted: str) -> list[dict[str, object]]:
        """The best `top_k` classes of `scores` [classes] that reach `threshold`, best first, as the contract's rows.

        A threshold of 0 keeps all: scores without an activation may be negative.
        """
        best = np.argsort(-scores, kind="stable")[:top_k]
        return [
            {
                "label": self.shown(index, wanted),
                "label_en": self.name(index, "en"),
                "label_zh": self.name(index, "zh"),
                "index": index,
                "score": round(float(scores[index]), 6),
            }
            for index in best.tolist()
            if threshold == 0 or scores[index] >= threshold
        ]

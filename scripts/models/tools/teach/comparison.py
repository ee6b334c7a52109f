"""Compare a taught model with the one that it replaces, on the same held-out images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.models.tools.evaluate.run import Answer, answers
from scripts.models.tools.prepare.isolated import Placement
from scripts.models.tools.teach import kept
from scripts.models.tools.teach.images import Example
from worker.contract.toml_reader import ModelError
from worker.models.folder import read_folder
from worker.models.labels import Labels


@dataclass(frozen=True)
class Comparison:
    """Of `images` held-out ones, of classes that both models know: how many each answers rightly, and which alone."""

    name: str
    images: int
    before: int
    now: int
    only_before: int
    only_now: int


def compare(
    path: Path, labels: Labels, examples: Sequence[Example], scores: np.ndarray, placements: Sequence[Placement]
) -> Comparison | None:
    """Return how the model folder at `path` does on the held-out `examples`, for which `scores` [N, K] are the new
    model's; None if there is no image that both can be judged by.

    Images that the model at `path` learned are left out.
    """
    try:
        folder = read_folder(path)
        learned = kept.learned(path)
        index = _same_classes(labels, folder.output.labels)
        chosen = [
            each for each, one in enumerate(examples)
            if one.present and one.truth in index and one.digest not in learned
        ]  # fmt: skip
        right = np.zeros(len(chosen), bool)
        for position, answer in answers(path, [examples[each].path for each in chosen], placements, lambda: None):
            truth = index[examples[chosen[position]].truth]
            right[position] = isinstance(answer, Answer) and answer.best[0] == truth
    except ModelError:  # such as one that needs torch, or of a kind that is no longer served
        return None
    if not chosen:
        return None
    now = scores[chosen].argmax(axis=1) == np.array([examples[each].truth for each in chosen])
    return Comparison(
        path.name, len(chosen), int(right.sum()), int(now.sum()), int((right & ~now).sum()), int((now & ~right).sum())
    )


def _same_classes(labels: Labels, others: Labels) -> dict[int, int]:
    """Return the index of each class among `others` that has the same name in a language that both have."""
    found: dict[int, int] = {}
    for language in labels.names.keys() & others.names.keys():
        indices = {name: index for index, name in enumerate(others.names[language])}
        found |= {index: indices[name] for index, name in enumerate(labels.names[language]) if name in indices}
    return found

"""What a report on a taught model is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.models.tools.evaluate.dataset import SkippedFile
from scripts.models.tools.evaluate.report import Evaluation
from scripts.models.tools.teach.comparison import Comparison
from scripts.models.tools.teach.crossvalidation import Taught
from scripts.models.tools.teach.curve import Curve
from scripts.models.tools.teach.doubts import Doubt
from scripts.models.tools.teach.images import Example

FEW = 20  # images of a class, below which the report says that more would help
Pair = tuple[Example, Example]


@dataclass(frozen=True)
class Teaching:
    """What was learned, and two evaluations of it.

    `cross_validated` holds the answers to the learned images by heads that had not seen them, `tested` those of the
    model itself to the held-out images, None if there are none. `served` are the model's scores [K] by digest, `near`
    nearly equal images in different classes, `leaked` pairs of a learned image and a nearly equal one that was held
    out, `copies` files that are the same as others, `doubts` images among `learned` and `held_out` that are probably in
    the wrong class, `replaced` how the model of the same name did, if there was one.
    """

    base: str
    taught: Taught
    learned: Sequence[Example]
    held_out: Sequence[Example]
    served: Mapping[str, np.ndarray]
    cross_validated: Evaluation
    tested: Evaluation | None
    curve: Curve
    doubts: Sequence[Doubt]
    near: Sequence[Pair]
    leaked: Sequence[Pair]
    copies: Sequence[SkippedFile]
    replaced: Comparison | None = None

    @property
    def main(self) -> Evaluation:
        """The evaluation that tells most: on the held-out images if there are any."""
        return self.tested or self.cross_validated

    @property
    def examples(self) -> Sequence[Example]:
        """All images, in the order that `doubts` counts them in."""
        return (*self.learned, *self.held_out)

    def label(self, index: int) -> str:
        return self.main.label(index)

    def served_scores(self, examples: Sequence[Example]) -> np.ndarray:
        """Return the scores [N, K] that the model gives to `examples`."""
        return np.stack([self.served[one.digest] for one in examples])

    def judged(self) -> tuple[Sequence[Example], np.ndarray]:
        """Return the images by which the model is judged, and their scores [N, K]: held-out ones if there are any."""
        if self.held_out:
            return self.held_out, self.served_scores(self.held_out)
        return self.learned, self.taught.scores

    def right_where_sure(self) -> float | None:
        """Return the share of right ones of the answers that are not unsure; None if all are."""
        examples, scores = self.judged()
        sure = scores.max(axis=1) >= self.taught.unsure_below
        right = scores.argmax(axis=1) == np.array([one.truth for one in examples])
        return float(right[sure].mean()) if sure.any() else None

    def small_classes(self) -> list[tuple[int, int]]:
        """Return each class with fewer than FEW learned images, and their number, fewest first."""
        counts = np.bincount([one.truth for one in self.learned], minlength=self.main.labels.count)
        order = np.argsort(counts, kind="stable")
        return [(int(index), int(counts[index])) for index in order if counts[index] < FEW]

"""Render how well a model was taught, as JSON and as a table for a terminal."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.base.console import printable
from scripts.models.tools.evaluate.report import Evaluation, count_images, details, notes, percent
from scripts.models.tools.evaluate.report import to_json as evaluation_json
from scripts.models.tools.teach import FORMAT
from scripts.models.tools.teach.crossvalidation import TARGET, Taught
from scripts.models.tools.teach.images import Example

Z = 1.96  # standard deviations of a normal distribution that hold 95% of it


@dataclass(frozen=True)
class Teaching:
    """The content of the report: what was learned, and two evaluations of it.

    `cross_validated` holds the answers to the learned images by heads that had not seen them, `tested` those of the
    model itself to the held-out images, None if there are none. `served` are the model's scores [K] by digest, `near`
    the names of nearly equal images in different classes.
    """

    base: str
    taught: Taught
    learned: Sequence[Example]
    held_out: Sequence[Example]
    served: Mapping[str, np.ndarray]
    cross_validated: Evaluation
    tested: Evaluation | None
    near: Sequence[tuple[str, str]]

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


def interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a `share` of `count` images.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    centre = share + Z**2 / (2 * count)
    half = Z * float(np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)))
    return (centre - half) / (1 + Z**2 / count), (centre + half) / (1 + Z**2 / count)


def table(teaching: Teaching) -> str:
    """Return the report as text for a terminal; long lists are shortened."""
    return "\n".join(_lines(teaching))


def _lines(teaching: Teaching) -> Iterator[str]:
    main = teaching.tested or teaching.cross_validated
    yield printable(
        f"{main.model}: {main.labels.count} classes taught to {teaching.base} ({main.engine} {main.precision}) with "
        f"{count_images(len(teaching.learned))}, {main.seconds:.1f} s"
    )
    yield ""
    yield notes(_summary(teaching))
    yield from details(main)
    if teaching.near:
        yield ""
        yield f"nearly the same image in two classes ({len(teaching.near)})"
        yield from (f"   {printable(one)}, {printable(other)}" for one, other in teaching.near[:10])


def _summary(teaching: Teaching) -> list[tuple[str, str, str]]:
    taught, main = teaching.taught, teaching.tested or teaching.cross_validated
    rows = [_accuracy("cross-validated", teaching.cross_validated, "answered by heads that had not seen them")]
    if teaching.tested:
        rows.append(_accuracy("held out", teaching.tested, "answered by the model"))
    others = ", ".join(f"{name} {percent(value)}" for name, value in list(taught.accuracies.items())[1:])
    rows.append(("method", taught.method, f"cross-validated; {others}"))
    right = percent(teaching.right_where_sure())
    rows.append(("unsure below", f"{taught.unsure_below:.2f}", f"{right} of the other answers are right"))
    rows.append(("unsure", percent(main.metrics.unsure), "of these images"))
    return rows


def _accuracy(name: str, evaluation: Evaluation, how: str) -> tuple[str, str, str]:
    metrics = evaluation.metrics
    low, high = interval(metrics.top_1, metrics.images)
    return name, percent(metrics.top_1), f"{percent(low)} to {percent(high)}; {count_images(metrics.images)} {how}"


def to_json(teaching: Teaching) -> str:
    """Return the report as JSON."""
    taught = teaching.taught
    document = {
        "format": FORMAT,
        "base": teaching.base,
        "method": taught.method,
        "accuracies": taught.accuracies,
        "unsure_below": {"score": taught.unsure_below, "target": TARGET, "right": teaching.right_where_sure()},
        "cross_validated": _evaluation(teaching.cross_validated),
        "held_out": teaching.tested and _evaluation(teaching.tested),
        "near_duplicates": [list(pair) for pair in teaching.near],
        "answers": list(_answers(teaching)),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    low, high = interval(evaluation.metrics.top_1, evaluation.metrics.images)
    document: dict[str, Any] = json.loads(evaluation_json(evaluation))
    document["unsure_below"].pop("rule")  # another one than that of an evaluation
    return {"accuracy": evaluation.metrics.top_1, "interval": [low, high]} | document


def _answers(teaching: Teaching) -> Iterator[dict[str, Any]]:
    """Yield for each image what the model answers, and for a learned one what heads that had not seen it answered."""
    unseen = dict(zip([one.digest for one in teaching.learned], teaching.taught.scores, strict=True))
    for one in (*teaching.learned, *teaching.held_out):
        served, before = teaching.served[one.digest], unseen.get(one.digest)
        yield {
            "file": one.name,
            "truth": one.truth,
            "held_out": one.held_out,
            "answered": int(served.argmax()),
            "score": round(float(served.max()), 6),
            "cross_validated": None if before is None else int(before.argmax()),
        }

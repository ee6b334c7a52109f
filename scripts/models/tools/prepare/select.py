"""Compare benchmark results with the reference, and select the fastest candidate that agrees with it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from scripts.models.tools.prepare.benchmark import BenchmarkResult, Candidate
from worker.contract.engine import Measurement
from worker.models.scores import Output

TIE = 0.01  # of a logit, 1% of a softmax score: closer classes count as a tie of the reference


def agreement(reference: np.ndarray, answers: np.ndarray, main: np.ndarray, tie: float = TIE) -> float:
    """Return the share of images for which `answers` and `reference` agree on the best class.

    Both are logits or scores, [N, classes]. Only the classes `main` compete. A class within `tie` of the reference's
    best one counts as its best, too.
    """
    ours, theirs = reference[:, main], answers[:, main]
    picked = np.take_along_axis(ours, theirs.argmax(1)[:, None], axis=1)[:, 0]
    return float(np.mean(picked >= ours.max(1) - tie))


def compare(
    candidate: Candidate, result: BenchmarkResult, reference: np.ndarray, output: Output, quick: bool = False
) -> Measurement:
    """Return the row of `candidate`, not yet chosen, compared on the images that both it and the reference answered."""
    count = min(len(reference), len(result.logits))
    ours, theirs = reference[:count], result.logits[:count]
    return Measurement(
        candidate.machine, candidate.engine, candidate.precision, result.batch_sizes, rate(candidate, result),
        agreement(ours, theirs, output.main), float(np.abs(output.scores(ours) - output.scores(theirs)).max()), False,
        quick,
    )  # fmt: skip


def rate(candidate: Candidate, result: BenchmarkResult) -> float:
    """Return images/s: one by one on a CPU, at the best batch size on a GPU, which is meant to run full batches."""
    return 1 / (min(result.seconds.values()) if candidate.gpu else result.seconds[1])


def choose_fastest(rows: Sequence[Measurement]) -> list[Measurement]:
    """Return the rows, the fastest that passed chosen for each machine; drop the machines where none passed."""
    best = {row.machine: fastest(other for other in rows if other.machine == row.machine) for row in rows}
    return [replace(row, chosen=row is best[row.machine]) for row in rows if best[row.machine]]


def fastest(rows: Iterable[Measurement]) -> Measurement | None:
    return max((row for row in rows if row.passed), key=lambda row: row.images_per_s, default=None)

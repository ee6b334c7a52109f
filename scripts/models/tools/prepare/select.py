"""What was tried, compared with the reference and with one another: who may serve, and who is fastest. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from scripts.models.tools.prepare.benchmark import BenchmarkResult, Candidate
from worker.contract.engine import Measured
from worker.models.scores import Output

TIE = 0.01  # of a logit, 1% of a softmax's score: so close, the reference itself has not decided


def agreement(reference: np.ndarray, found: np.ndarray, main: np.ndarray) -> float:
    """The share of images whose best class among `main` is the reference's own; both are logits [N, classes].

    A class that the reference puts within TIE of its best counts as its best, too.
    """
    ours, theirs = reference[:, main], found[:, main]
    picked = np.take_along_axis(ours, theirs.argmax(1)[:, None], axis=1)[:, 0]
    return float(np.mean(picked >= ours.max(1) - TIE))


def measured(
    candidate: Candidate, trial: BenchmarkResult, reference: np.ndarray, output: Output, quick: bool = False
) -> Measured:
    """The row of `candidate`, not yet chosen, compared on as many images as both were asked about."""
    count = min(len(reference), len(trial.logits))
    ours, theirs = reference[:count], trial.logits[:count]
    return Measured(
        candidate.machine, candidate.engine, candidate.precision, trial.batch_sizes, rate(candidate, trial),
        agreement(ours, theirs, output.main), float(np.abs(output.scores(ours) - output.scores(theirs)).max()), False,
        quick,
    )  # fmt: skip


def rate(candidate: Candidate, trial: BenchmarkResult) -> float:
    """Images/s: on a CPU one by one, as a single image is answered; on a GPU at its best, for that is to be filled."""
    return 1 / (min(trial.seconds.values()) if candidate.gpu else trial.seconds[1])


def with_choice(rows: Sequence[Measured]) -> list[Measured]:
    """The rows, of each machine the fastest that passed chosen; those of a machine where none passed are left out."""
    best = {row.machine: fastest(one for one in rows if one.machine == row.machine) for row in rows}
    return [replace(row, chosen=row is best[row.machine]) for row in rows if best[row.machine]]


def fastest(rows: Iterable[Measured]) -> Measured | None:
    return max((row for row in rows if row.passed), key=lambda row: row.images_per_s, default=None)

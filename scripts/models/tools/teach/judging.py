"""Learn a head from what a network saw of the images, and judge it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from scripts.models.tools.evaluate.metrics import TOP, compute_metrics
from scripts.models.tools.evaluate.report import Evaluation, Mistake
from scripts.models.tools.teach import duplicates
from scripts.models.tools.teach.crossvalidation import right_answers, teach
from scripts.models.tools.teach.curve import learning_curve
from scripts.models.tools.teach.doubts import doubts
from scripts.models.tools.teach.features import Seen
from scripts.models.tools.teach.folder import MAX_GOLDEN
from scripts.models.tools.teach.images import Example, Lesson
from scripts.models.tools.teach.result import Teaching
from worker.contract.engines.openvino import ENGINE
from worker.contract.machine import machine_kind
from worker.models.labels import SOFTMAX, activate

ROWS = 1000  # images whose scores are sorted at once


@dataclass(frozen=True)
class Conditions:
    """What an evaluation says beside its results: names, the images' folder, the processes, when the work started."""

    name: str
    base: str
    precision: str
    source: Path
    processes: int
    started: float


def learn(about: Conditions, lesson: Lesson, seen: dict[str, Seen]) -> Teaching:
    """Return what is learned from `lesson`, whose images are `seen` by digest; leave out of it what cannot be used."""
    everything = [seen[one.digest] for one in lesson.examples]
    group = duplicates.groups(
        np.stack([one.fingerprint for one in everything]), np.stack([one.features for one in everything])
    )
    near = duplicates.near_pairs(lesson.examples, group)
    group, leaked = duplicates.leave_out_leaked(lesson, group)
    is_held_out = np.array([one.held_out for one in lesson.examples])
    learned = [one for one in lesson.examples if not one.held_out]
    held_out = [one for one in lesson.examples if one.held_out]
    views = min(len(seen[one.digest].views) for one in learned)
    values = np.stack([seen[one.digest].views[:views] for one in learned])
    truth = np.array([one.truth for one in learned])
    taught = teach(values, truth, duplicates.learned_together(group[~is_held_out], truth))
    digests = [one.digest for one in (*learned, *held_out)]
    scores = activate(taught.head.logits(np.stack([seen[digest].features for digest in digests])), SOFTMAX)
    tested = scores[len(learned) :]
    unseen = np.concatenate([taught.scores, tested]) if held_out else taught.scores
    right = taught.scores.argmax(axis=1) == truth
    return Teaching(
        base=about.base,
        taught=taught,
        learned=learned,
        held_out=held_out,
        served=dict(zip(digests, scores, strict=True)),
        cross_validated=_evaluation(about, lesson, learned, taught.scores, taught.unsure_below),
        tested=_evaluation(about, lesson, held_out, tested, taught.unsure_below) if held_out else None,
        curve=learning_curve(partial(right_answers, taught, values, truth), truth, right),
        doubts=doubts(unseen, np.array([one.truth for one in (*learned, *held_out)])),
        near=near,
        leaked=leaked,
        copies=lesson.copies,
    )


def _evaluation(
    about: Conditions, lesson: Lesson, examples: Sequence[Example], scores: np.ndarray, unsure_below: float
) -> Evaluation:
    """Return the evaluation of `scores` [N, K], the answers to `examples`."""
    best = np.concatenate([_best(scores[start : start + ROWS]) for start in range(0, len(scores), ROWS)])
    highest = scores.max(axis=1)
    truth = np.array([one.truth for one in examples])
    metrics = compute_metrics(truth, best, highest, scores.shape[1], True)
    metrics = replace(metrics, unsure_below=unsure_below, unsure=float((highest < unsure_below).mean()))
    mistakes = [
        Mistake(examples[one].name, examples[one].truth, int(best[one, 0]), float(highest[one]))
        for one in metrics.mistakes
    ]
    return Evaluation(
        model=about.name, version="1", labels=lesson.labels, engine=ENGINE.name,
        precision=about.precision, machine=machine_kind(), source=str(about.source),
        created=datetime.now(UTC), processes=about.processes, seconds=time.monotonic() - about.started,
        metrics=metrics, mistakes=mistakes, broken=lesson.skipped, not_images=[], unknown={},
    )  # fmt: skip


def _best(scores: np.ndarray) -> np.ndarray:
    """Return the TOP best classes of each row of `scores` [N, K], best first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :TOP]


def golden(teaching: Teaching) -> list[tuple[Example, int, float]]:
    """Return up to MAX_GOLDEN images, each of another class, that are answered rightly and surely, with their scores.

    They are held-out images, or if there are none, images that were answered rightly by heads that had not seen them.
    """
    judged, judged_scores = teaching.judged()
    present = [position for position, one in enumerate(judged) if one.present]
    if not present:  # what was taught earlier is gone
        judged = [one for one in teaching.examples if one.present]
        present, judged_scores = list(range(len(judged))), teaching.served_scores(judged)
    examples, unseen = [judged[position] for position in present], judged_scores[present]
    scores = teaching.served_scores(examples)
    truth = np.array([one.truth for one in examples])
    right = (scores.argmax(axis=1) == truth) & (unseen.argmax(axis=1) == truth)
    found: dict[int, tuple[Example, int, float]] = {}
    for position in np.argsort(-np.where(right, scores.max(axis=1), -1), kind="stable"):
        index = int(truth[position])
        if index not in found and (right[position] or not found) and len(found) < MAX_GOLDEN:
            answered = int(scores[position].argmax())
            found[index] = (examples[position], answered, float(scores[position, answered]))
    return list(found.values())

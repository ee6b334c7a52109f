"""Teach step by step: read the images, compute their features, learn a head, write the model folder and the report."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import openvino as ov

from scripts.base.console import say, step
from scripts.cluster.hardware import read_hardware
from scripts.models.tools import TeachTask
from scripts.models.tools.evaluate.dataset import SkippedFile
from scripts.models.tools.evaluate.metrics import TOP, compute_metrics
from scripts.models.tools.evaluate.report import Evaluation, Mistake, count_images
from scripts.models.tools.evaluate.run import placements
from scripts.models.tools.prepare.isolated import Placement
from scripts.models.tools.teach import duplicates, features, folder, images, network
from scripts.models.tools.teach.crossvalidation import teach
from scripts.models.tools.teach.images import Example, Lesson
from scripts.models.tools.teach.report import Teaching, table, to_json
from worker.contract.engines.openvino import ENGINE
from worker.contract.files import sha256
from worker.contract.machine import machine_kind
from worker.models.folder import ModelFolder, read_folder, verify_files
from worker.models.labels import SOFTMAX, activate

LEARNED_CHECKED = 60  # learned images, from all classes, that the finished folder answers if none are held out
SEEN_WHOLE = None  # a taught network looks at the whole image, even if its base looks at tiles


@dataclass(frozen=True)
class _Base:
    """The model that is taught: its folder, the network without its last layer, and the network's precision."""

    folder: ModelFolder
    network: ov.Model
    precision: str
    digest: str  # of the network's files

    @property
    def width(self) -> int:
        """The number of features."""
        return int(self.network.output(0).get_partial_shape()[1].get_length())


def run(out: Path, task: TeachTask) -> None:
    """Fill the empty folder `out` as `task` says. Raise CommandError or ModelError with the fault and its remedy."""
    started = time.monotonic()
    step(f"reading {task.images}")
    lesson = images.read(task.images)
    duplicates.leave_out_copies(lesson)
    names = [lesson.name(index) for index in range(lesson.labels.count)]
    images.require_enough(task.images, names, lesson.examples, lesson.skipped)
    base = _base(task.base)
    where = placements(read_hardware(), task.base, False)
    step(f"looking at {count_images(len(lesson.examples))} with {base.folder.name} in {base.precision}")
    seen = _see(lesson, base, task.cache, where)
    images.require_enough(task.images, names, lesson.examples, lesson.skipped)
    step("learning")
    teaching = _learn(task, lesson, base, seen, where, started)
    step("writing the model folder")
    taught = network.with_head(base.network, teaching.taught.head)
    draft = folder.Draft(
        task.name, base.folder, base.precision, lesson.labels, teaching.taught.unsure_below, _golden(teaching),
        f"{lesson.labels.count} classes, taught with {count_images(len(teaching.learned))}",
    )  # fmt: skip
    written = folder.write(out, draft, taught, to_json(teaching))
    checked = teaching.held_out or teaching.learned[:: max(1, len(teaching.learned) // LEARNED_CHECKED)]
    folder.check(written, checked, teaching.served_scores(checked), where)
    say(f"\n{table(teaching)}")


def _base(path: Path) -> _Base:
    base = read_folder(path)
    verify_files(base)
    source, precision = network.source_of(base)
    digests = [digest for name, digest in base.files.items() if (path / name).parent == source.parent]
    return _Base(base, network.cut(base, source), precision, features.cache_key(sha256(source), digests))


def _see(lesson: Lesson, base: _Base, cache: Path, where: Sequence[Placement]) -> dict[str, features.Seen]:
    """Return each image by its digest; leave out of `lesson` those that cannot be decoded or are held out twice."""
    model_input = replace(base.folder.input, tiles=SEEN_WHOLE)
    key = features.cache_key(base.digest, model_input, ov.__version__)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "features.xml"
        ov.save_model(base.network, path, compress_to_fp16=False)
        seen, skipped = features.see(path, model_input, lesson.examples, cache / f"{key}.{base.width}", where)
    lesson.keep([one for one in lesson.examples if one.digest in seen], skipped)
    return seen


def _learn(
    task: TeachTask,
    lesson: Lesson,
    base: _Base,
    seen: dict[str, features.Seen],
    where: Sequence[Placement],
    started: float,
) -> Teaching:
    everything = [seen[one.digest] for one in lesson.examples]
    group = duplicates.groups(
        np.stack([one.fingerprint for one in everything]), np.stack([one.features for one in everything])
    )
    confused = duplicates.near_pairs(lesson.examples, group)
    learned_groups = {number for one, number in zip(lesson.examples, group.tolist(), strict=True) if not one.held_out}
    kept, skipped = [], []
    for one, number in zip(lesson.examples, group.tolist(), strict=True):
        if one.held_out and number in learned_groups:
            skipped.append(SkippedFile(one.name, "nearly the same image is learned: not held out"))
        else:
            kept.append((one, number))
    lesson.keep([one for one, _ in kept], skipped)
    learned = [one for one, _ in kept if not one.held_out]
    held_out = [one for one, _ in kept if one.held_out]
    values = np.stack([seen[one.digest].features for one in learned])
    truth = np.array([one.truth for one in learned])
    numbers = np.array([number for one, number in kept if not one.held_out])
    taught = teach(values, truth, duplicates.learned_together(numbers, truth))
    digests = [one.digest for one in (*learned, *held_out)]
    scores = activate(taught.head.logits(np.stack([seen[digest].features for digest in digests])), SOFTMAX)
    about = _About(task, lesson, base, len(where), started)
    tested = scores[len(learned) :]
    return Teaching(
        base=base.folder.name,
        taught=taught,
        learned=learned,
        held_out=held_out,
        served=dict(zip(digests, scores, strict=True)),
        cross_validated=_evaluation(about, learned, taught.scores, taught.unsure_below),
        tested=_evaluation(about, held_out, tested, taught.unsure_below) if held_out else None,
        near=[(one.name, other.name) for one, other in confused],
    )


@dataclass(frozen=True)
class _About:
    task: TeachTask
    lesson: Lesson
    base: _Base
    processes: int
    started: float


def _evaluation(about: _About, examples: Sequence[Example], scores: np.ndarray, unsure_below: float) -> Evaluation:
    """Return the evaluation of `scores` [N, K], the answers to `examples`."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    highest = scores.max(axis=1)
    truth = np.array([one.truth for one in examples])
    metrics = compute_metrics(truth, best, highest, scores.shape[1], True)
    metrics = replace(metrics, unsure_below=unsure_below, unsure=float((highest < unsure_below).mean()))
    mistakes = [
        Mistake(examples[one].name, examples[one].truth, int(best[one, 0]), float(highest[one]))
        for one in metrics.mistakes
    ]
    return Evaluation(
        model=about.task.name, version="1", labels=about.lesson.labels, engine=ENGINE.name,
        precision=about.base.precision, machine=machine_kind(), source=str(about.task.images),
        created=datetime.now(UTC), processes=about.processes, seconds=time.monotonic() - about.started,
        metrics=metrics, mistakes=mistakes, broken=about.lesson.skipped, not_images=[], unknown={},
    )  # fmt: skip


def _golden(teaching: Teaching) -> list[tuple[Example, int, float]]:
    """Return up to MAX_GOLDEN images, each of another class, that are answered rightly and surely, with their scores.

    They are held-out images, or if there are none, images that were answered rightly by heads that had not seen them.
    """
    examples = teaching.held_out or teaching.learned
    scores = teaching.served_scores(examples)
    unseen = scores if teaching.held_out else teaching.taught.scores
    truth = np.array([one.truth for one in examples])
    right = (scores.argmax(axis=1) == truth) & (unseen.argmax(axis=1) == truth)
    found: dict[int, tuple[Example, int, float]] = {}
    for position in np.argsort(-np.where(right, scores.max(axis=1), -1), kind="stable"):
        index = int(truth[position])
        if index not in found and (right[position] or not found) and len(found) < folder.MAX_GOLDEN:
            answered = int(scores[position].argmax())
            found[index] = (examples[position], answered, float(scores[position, answered]))
    return list(found.values())

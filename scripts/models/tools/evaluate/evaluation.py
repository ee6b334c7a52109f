"""An evaluation from beginning to end: images found, answered, counted."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.cluster.hardware import read_hardware
from scripts.models.tools.evaluate import dataset
from scripts.models.tools.evaluate.classes import Classes
from scripts.models.tools.evaluate.dataset import Dataset, Image, LeftOut
from scripts.models.tools.evaluate.metrics import Figures, figures
from scripts.models.tools.evaluate.progress import Progress
from scripts.models.tools.evaluate.report import Evaluation, Mistake, counted, few, readable
from scripts.models.tools.evaluate.run import Answer, answers, places
from scripts.models.tools.prepare.isolated import Place
from worker.contract.languages import BOTH
from worker.contract.machine import kind
from worker.models.folder import ModelFolder, read_folder, verify_files
from worker.models.labels import SIGMOID, SOFTMAX

PROBABILITIES = (SOFTMAX, SIGMOID)  # activations whose scores are from 0 to 1


def evaluate(path: Path, place: Path, on_gpus: bool) -> tuple[Evaluation, list[Path]]:
    """Return the evaluation of the folder at `path` on the images of `place`, and the files of its mistakes.

    Raise ModelError when the folder cannot serve, and CommandError when no image can be evaluated.
    """
    folder = read_folder(path)
    verify_files(folder)
    found = dataset.read(place, Classes(folder.output))
    _require_images(folder, place, found)
    at = places(read_hardware(), path, on_gpus)[: len(found.images)]
    machine = kind(at[0].gpu)
    choice = folder.engine.choose(machine)
    step(f"evaluating {folder.name} by {choice.engine} in {choice.precision} on {counted(len(found.images))}")
    answered, seconds = _answer(path, found, at)
    if not answered:
        first = found.broken[0]
        raise CommandError(f"IMAGES: {place}: none can be evaluated, {first.file}: {readable(first.reason)}")
    counts = _figures(folder, answered)
    wrong = [answered[position] for position in counts.mistakes]
    mistakes = [Mistake(image.name, image.truth, answer.best[0], answer.score) for image, answer in wrong]
    evaluation = Evaluation(
        folder.name, folder.version, folder.output.labels, choice.engine, choice.precision, machine, str(place),
        datetime.now(UTC), len(at), seconds, counts, mistakes, found.broken, found.not_images, found.unknown,
    )  # fmt: skip
    return evaluation, [image.path for image, _ in wrong]


def _answer(path: Path, found: Dataset, at: Sequence[Place]) -> tuple[list[tuple[Image, Answer]], float]:
    """Return the images with their answers, and the seconds that took; those without one join the broken."""
    progress, answered = Progress(len(found.images)), {}
    try:
        for position, answer in answers(path, [image.path for image in found.images], at, progress.start):
            progress.one_more()
            if isinstance(answer, Answer):
                answered[position] = answer
            else:
                found.broken.append(LeftOut(found.images[position].name, answer))
    finally:
        progress.end()
    found.broken.sort(key=lambda one: one.file)
    return [(found.images[position], answered[position]) for position in sorted(answered)], progress.seconds


def _figures(folder: ModelFolder, answered: Sequence[tuple[Image, Answer]]) -> Figures:
    return figures(
        np.array([image.truth for image, _ in answered]),
        np.array([answer.best for _, answer in answered]),
        np.array([answer.score for _, answer in answered]),
        len(folder.output.main),
        folder.output.activation in PROBABILITIES,
    )


def _require_images(folder: ModelFolder, place: Path, found: Dataset) -> None:
    if found.images:
        return
    classes = [name for name in found.unknown if name]
    labels = folder.output.labels
    if classes:
        known = few(labels.shown(int(index), BOTH) for index in folder.output.main)
        raise CommandError(
            f"IMAGES: {place}: found the classes {few(classes)}, none of which {folder.name} has: "
            f"needed some of {known}"
        )
    others = len(found.broken) + len(found.not_images) + sum(one.images for one in found.unknown.values())
    beside = f", but {others} other {'file' if others == 1 else 'files'}" if others else ""
    raise CommandError(
        f"IMAGES: {place}: found no labelled images{beside}: needed a folder for each class, with its "
        f"images inside, or a CSV file of file,label{_hint(place)}"
    )


def _hint(place: Path) -> str:
    tables = sorted(place.glob("*.csv")) if place.is_dir() else []
    return f", such as IMAGES={tables[0]}" if tables else ""

"""Run an evaluation: read the data set, classify its images, compute the metrics."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from scripts.base.console import printable, step
from scripts.base.errors import CommandError
from scripts.base.progress import Progress
from scripts.cluster.hardware import read_hardware
from scripts.models.tools.evaluate import dataset
from scripts.models.tools.evaluate.classes import Classes
from scripts.models.tools.evaluate.dataset import Dataset, Image, SkippedFile
from scripts.models.tools.evaluate.metrics import Metrics, compute_metrics
from scripts.models.tools.evaluate.report import Evaluation, Mistake, abbreviated, count_images
from scripts.models.tools.evaluate.run import Answer, answers, placements
from scripts.models.tools.prepare.isolated import Placement
from worker.contract.languages import BOTH
from worker.contract.machine import machine_kind
from worker.models.folder import ModelFolder, read_folder, verify_files
from worker.models.labels import SIGMOID, SOFTMAX

PROBABILITIES = (SOFTMAX, SIGMOID)  # activations whose scores are from 0 to 1


def evaluate(path: Path, source: Path, on_gpus: bool) -> tuple[Evaluation, list[tuple[Image, Answer]]]:
    """Evaluate the model folder at `path` on the data set in `source`; return it with the answers.

    Raise ModelError if the folder cannot be served, and CommandError if no image can be evaluated.
    """
    folder = read_folder(path)
    verify_files(folder)
    data = dataset.read(source, Classes(folder.output))
    _require_images(folder, source, data)
    process_placements = placements(read_hardware(), path, on_gpus)[: len(data.images)]
    machine = machine_kind(process_placements[0].gpu)
    choice = folder.engine.choose(machine)
    step(f"evaluating {folder.name} by {choice.engine} in {choice.precision} on {count_images(len(data.images))}")
    answered, seconds = _classify(path, data, process_placements)
    if not answered:
        first = data.broken[0]
        raise CommandError(
            f"IMAGES: {source}: found no image that can be evaluated, {first.file}: {printable(first.reason)}: "
            "needed at least one"
        )
    metrics = _metrics(folder, answered)
    wrong = [answered[position] for position in metrics.mistakes]
    evaluation = Evaluation(
        model=folder.name,
        version=folder.version,
        labels=folder.output.labels,
        engine=choice.engine,
        precision=choice.precision,
        machine=machine,
        source=str(source),
        created=datetime.now(UTC),
        processes=len(process_placements),
        seconds=seconds,
        metrics=metrics,
        mistakes=[Mistake(image.name, image.truth, answer.best[0], answer.score) for image, answer in wrong],
        broken=data.broken,
        not_images=data.not_images,
        unknown=data.unknown,
    )
    return evaluation, answered


def _classify(
    path: Path, data: Dataset, process_placements: Sequence[Placement]
) -> tuple[list[tuple[Image, Answer]], float]:
    """Return the images with their answers, and the seconds taken; add images without an answer to the broken ones."""
    progress, answered = Progress(len(data.images)), {}
    try:
        for position, answer in answers(
            path, [image.path for image in data.images], process_placements, progress.start
        ):
            progress.advance()
            if isinstance(answer, Answer):
                answered[position] = answer
            else:
                data.broken.append(SkippedFile(data.images[position].name, answer))
    finally:
        progress.clear()
    data.broken.sort(key=lambda skipped: skipped.file)
    return [(data.images[position], answered[position]) for position in sorted(answered)], progress.seconds


def _metrics(folder: ModelFolder, answered: Sequence[tuple[Image, Answer]]) -> Metrics:
    return compute_metrics(
        np.array([image.truth for image, _ in answered]),
        np.array([answer.best for _, answer in answered]),
        np.array([answer.score for _, answer in answered]),
        len(folder.output.main),
        folder.output.activation in PROBABILITIES,
    )


def _require_images(folder: ModelFolder, source: Path, data: Dataset) -> None:
    if data.images:
        return
    classes = [name for name in data.unknown if name]
    labels = folder.output.labels
    if classes:
        known = abbreviated(labels.name(int(index), BOTH) for index in folder.output.main)
        raise CommandError(
            f"IMAGES: {source}: found the classes {abbreviated(classes)}, none of which {folder.name} has: "
            f"needed some of {known}"
        )
    others = len(data.broken) + len(data.not_images) + sum(unknown.images for unknown in data.unknown.values())
    and_others = f", but {others} other {'file' if others == 1 else 'files'}" if others else ""
    raise CommandError(
        f"IMAGES: {source}: found no labelled images{and_others}: needed a folder for each class, with its "
        f"images inside, or a CSV file of file,label{_csv_hint(source)}"
    )


def _csv_hint(source: Path) -> str:
    tables = sorted(source.glob("*.csv")) if source.is_dir() else []
    return f", such as IMAGES={tables[0]}" if tables else ""

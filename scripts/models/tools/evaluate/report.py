"""Render an evaluation as JSON and as a table for a terminal."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from scripts.base.console import aligned, printable
from scripts.models.tools.evaluate import FORMAT
from scripts.models.tools.evaluate.dataset import SkippedFile, UnknownName
from scripts.models.tools.evaluate.metrics import BINS, RULE, TOP, ClassMetrics, Metrics
from worker.contract.languages import BOTH
from worker.contract.toml_reader import abbreviate
from worker.models.labels import Labels

MAX_ROWS = 10  # of a list in the table
MAX_CLASSES = 30  # up to which the table lists all classes and the page has the whole confusion matrix
BROKEN = "broken images, left out"


@dataclass(frozen=True)
class Mistake:
    """A wrong answer: the file, its true class, the answered class and its score."""

    file: str
    truth: int
    answered: int
    score: float


@dataclass(frozen=True)
class Evaluation:
    """The content of a report: the model, the data set, how it was evaluated, and the results."""

    model: str
    version: str
    labels: Labels
    engine: str
    precision: str
    machine: str
    source: str  # of the images
    created: datetime
    processes: int
    seconds: float
    metrics: Metrics
    mistakes: Sequence[Mistake]
    broken: Sequence[SkippedFile]
    not_images: Sequence[SkippedFile]
    unknown: dict[str, UnknownName]

    @property
    def heading(self) -> str:
        """Return one line on the model, the data set and the speed."""
        classes = len([each for each in self.metrics.classes if each.images])
        rate = self.metrics.images / max(self.seconds, 1e-9)
        return (
            f"{self.model} version {self.version}, {self.engine} {self.precision}: "
            f"{count_images(self.metrics.images)} of {classes} {'class' if classes == 1 else 'classes'}, "
            f"{self.seconds:.1f} s, {rate:.1f} images/s in "
            f"{self.processes} {'process' if self.processes == 1 else 'processes'}"
        )

    def label(self, index: int) -> str:
        """Return the label of class `index` in all the model's languages."""
        return self.labels.name(index, BOTH)

    def weakest_classes(self) -> list[ClassMetrics]:
        """Return the classes with images, lowest recall first."""
        return sorted((each for each in self.metrics.classes if each.images), key=lambda each: each.recall or 0)


def count_images(images: int) -> str:
    """Return "1 image" or "N images"."""
    return "1 image" if images == 1 else f"{images} images"


def percent(value: float | None) -> str:
    """Return `value` in percent, a dash for None."""
    return "-" if value is None else f"{value:.1%}"


def summary(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Return the overall metrics: the name, the value and a note for each."""
    metrics = evaluation.metrics
    top_5 = (percent(metrics.top_5), "" if metrics.top_5 is not None else f"the model has {TOP} classes or fewer")
    rows = [("top-1", percent(metrics.top_1), ""), (f"top-{TOP}", *top_5)]
    if metrics.calibration_error is None:
        return [*rows, ("calibration error", "-", "the scores are not probabilities")]
    return [
        *rows,
        ("calibration error", f"{metrics.calibration_error:.4f}", f"expected calibration error, {BINS} bins"),
        ("unsure below", *_unsure(metrics)),
    ]


def _unsure(metrics: Metrics) -> tuple[str, str]:
    if metrics.unsure_below is None:
        return "-", f"no score meets the rule: {RULE}"
    return f"{metrics.unsure_below:.2f}", f"{RULE}; {percent(metrics.unsure)} of these answers would be unsure"


def skipped(evaluation: Evaluation, unusable: str = BROKEN) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what was not evaluated: a title with the count for each kind, and a name and a reason for each file.

    `unusable` is the title of the images that cannot be used.
    """
    images = count_images(sum(each.images for each in evaluation.unknown.values()))
    unknown = [
        (name or "(none)", f"{count_images(each.images)}: {each.reason}") for name, each in evaluation.unknown.items()
    ]
    kinds = [(f"classes that the model does not have, {images} left out", unknown)]
    for title, files in (
        (unusable, evaluation.broken),
        ("other files, left out", evaluation.not_images),
    ):
        kinds.append((title, [(each.file, each.reason) for each in files]))
    return [(f"{title} ({len(rows)})", rows) for title, rows in kinds if rows]


def to_json(evaluation: Evaluation) -> str:
    """Return the evaluation as JSON; bytes in file names that are not UTF-8 are left as surrogates."""
    metrics = evaluation.metrics
    document = {
        "format": FORMAT,
        "model": {"name": evaluation.model, "version": evaluation.version},
        "engine": {"name": evaluation.engine, "precision": evaluation.precision, "machine": evaluation.machine},
        "place": evaluation.source,
        "created": evaluation.created.isoformat(timespec="seconds"),
        "processes": evaluation.processes,
        "seconds": round(evaluation.seconds, 3),
        "images": {
            "evaluated": metrics.images,
            "broken": len(evaluation.broken),
            "not_images": len(evaluation.not_images),
            "of_unknown_classes": sum(each.images for each in evaluation.unknown.values()),
        },
        "top_1": metrics.top_1,
        "top_5": metrics.top_5,
        "calibration_error": metrics.calibration_error,
        "calibration_bins": [asdict(each) for each in metrics.bins],
        "unsure_below": {"rule": RULE, "score": metrics.unsure_below, "unsure": metrics.unsure},
        "classes": [_class_to_json(evaluation, each) for each in metrics.classes],
        "confusions": [asdict(each) for each in metrics.confusions],
        "mistakes": [asdict(each) for each in evaluation.mistakes],
        "broken": [asdict(each) for each in evaluation.broken],
        "not_images": [asdict(each) for each in evaluation.not_images],
        "unknown_classes": [{"class": name, **asdict(each)} for name, each in evaluation.unknown.items()],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _class_to_json(evaluation: Evaluation, metrics_of_class: ClassMetrics) -> dict[str, Any]:
    labels = {language: lines[metrics_of_class.index] for language, lines in evaluation.labels.names.items()}
    shares = {"precision": metrics_of_class.precision, "recall": metrics_of_class.recall}
    return {**asdict(metrics_of_class), "labels": labels, **shares}


def table(evaluation: Evaluation) -> str:
    """Return the evaluation as text for a terminal; long lists are shortened."""
    return "\n".join(_lines(evaluation))


def _lines(evaluation: Evaluation) -> Iterator[str]:
    yield printable(evaluation.heading)
    yield ""
    yield notes(summary(evaluation))
    yield from details(evaluation)


def notes(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return `rows`, each with a name, a value and a note, as lines of text."""
    return aligned([(name, value, note and f"({note})") for name, value, note in rows])


def details(evaluation: Evaluation, unusable: str = BROKEN) -> Iterator[str]:
    """Yield the lines on the classes, the mistakes and the files left out, `unusable` ones under that title."""
    yield from _classes(evaluation)
    pairs = evaluation.metrics.confusions
    confused = [
        f"{pair.images}  {evaluation.label(pair.truth)} answered as {evaluation.label(pair.answered)}" for pair in pairs
    ]
    yield from listed(f"most confused ({len(pairs)})", confused)
    mistakes = [
        f"{each.score:.3f}  {each.file}: {evaluation.label(each.truth)} answered as {evaluation.label(each.answered)}"
        for each in evaluation.mistakes
    ]
    yield from listed("worst mistakes", mistakes)
    for title, rows in skipped(evaluation, unusable):
        yield from listed(title, [f"{name}: {reason}" for name, reason in rows])


def _classes(evaluation: Evaluation) -> Iterator[str]:
    rows = [
        (str(each.images), percent(each.recall), percent(each.precision), printable(evaluation.label(each.index)))
        for each in evaluation.weakest_classes()
    ]
    yield ""
    show_all = len(rows) <= MAX_CLASSES
    yield "classes, lowest recall first" if show_all else f"the {MAX_ROWS} classes with the lowest recall"
    yield aligned([("images", "recall", "precision", "class"), *(rows if show_all else rows[:MAX_ROWS])])


def listed(title: str, rows: Sequence[str]) -> Iterator[str]:
    """Yield the title and the first MAX_ROWS rows; nothing if there are no rows."""
    if rows:
        yield ""
        yield title
        yield from (f"   {printable(row)}" for row in rows[:MAX_ROWS])
    if len(rows) > MAX_ROWS:
        yield f"   ... and {len(rows) - MAX_ROWS} more"


def abbreviated(names: Iterable[str]) -> str:
    """Return the first MAX_ROWS names and the number of further ones."""
    return abbreviate(map(printable, names), MAX_ROWS)

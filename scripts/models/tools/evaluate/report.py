"""An evaluation as JSON and as a table for a terminal."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from scripts.base.console import aligned
from scripts.models.tools.evaluate import FORMAT
from scripts.models.tools.evaluate.dataset import LeftOut, Unknown
from scripts.models.tools.evaluate.metrics import BINS, RULE, TOP, ClassFigures, Figures
from worker.contract.fields import some
from worker.contract.languages import BOTH
from worker.models.labels import Labels

FEW = 10  # rows of a list in the table
MOST_CLASSES = 30  # that are all in the table, and whose confusion matrix is shown whole


@dataclass(frozen=True)
class Mistake:
    """A wrong answer: the file, its class, and what was answered with which score."""

    file: str
    truth: int
    answered: int
    score: float


@dataclass(frozen=True)
class Evaluation:
    """All that a report tells: what was evaluated, on what, how, and what was found."""

    model: str
    version: str
    labels: Labels
    engine: str
    precision: str
    machine: str
    place: str  # of the images
    created: datetime
    processes: int
    seconds: float
    figures: Figures
    mistakes: Sequence[Mistake]
    broken: Sequence[LeftOut]
    not_images: Sequence[LeftOut]
    unknown: dict[str, Unknown]

    @property
    def heading(self) -> str:
        """Return one line: of what, on what."""
        of = len([one for one in self.figures.classes if one.images])
        rate = self.figures.images / max(self.seconds, 1e-9)
        return (
            f"{self.model} version {self.version}, {self.engine} {self.precision}: {counted(self.figures.images)} of "
            f"{of} {'class' if of == 1 else 'classes'}, {self.seconds:.1f} s, {rate:.1f} images/s in "
            f"{self.processes} {'process' if self.processes == 1 else 'processes'}"
        )

    def shown(self, index: int) -> str:
        """Return what class `index` is called."""
        return self.labels.shown(index, BOTH)

    def weakest(self) -> list[ClassFigures]:
        """Return the classes that have images, those with the lowest recall first."""
        return sorted((one for one in self.figures.classes if one.images), key=lambda one: one.recall or 0)


def counted(images: int) -> str:
    """Return so many images, in words."""
    return "1 image" if images == 1 else f"{images} images"


def percent(value: float | None) -> str:
    """Return `value` in percent, a dash for None."""
    return "-" if value is None else f"{value:.1%}"


def readable(text: str) -> str:
    """Return `text` without what a terminal obeys or cannot print: file names may hold any byte."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def summary(found: Evaluation) -> list[tuple[str, str, str]]:
    """Return the figures of the whole: the name of each, its value, and what there is to say of it."""
    figures = found.figures
    top_5 = (percent(figures.top_5), "" if figures.top_5 is not None else f"the model has {TOP} classes or fewer")
    rows = [("top-1", percent(figures.top_1), ""), (f"top-{TOP}", *top_5)]
    if figures.calibration_error is None:
        return [*rows, ("calibration error", "-", "the scores are not probabilities")]
    return [
        *rows,
        ("calibration error", f"{figures.calibration_error:.4f}", f"expected calibration error, {BINS} bins"),
        ("unsure below", *_unsure(figures)),
    ]


def _unsure(figures: Figures) -> tuple[str, str]:
    if figures.unsure_below is None:
        return "-", f"there is no such score: {RULE}"
    return f"{figures.unsure_below:.2f}", f"{RULE}; {percent(figures.unsure)} of these answers would be unsure"


def left_out(found: Evaluation) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what was not evaluated: of each kind a title with its count, and a name and a reason for each."""
    images = counted(sum(one.images for one in found.unknown.values()))
    unknown = [(name or "(none)", f"{counted(one.images)}: {one.reason}") for name, one in found.unknown.items()]
    kinds = [(f"classes that the model does not have, {images} left out", unknown)]
    for title, files in (("broken images, left out", found.broken), ("other files, left out", found.not_images)):
        kinds.append((title, [(one.file, one.reason) for one in files]))
    return [(f"{title} ({len(rows)})", rows) for title, rows in kinds if rows]


def to_json(found: Evaluation) -> str:
    """Return all of it as JSON text; names of files that are not UTF-8 are escaped."""
    figures = found.figures
    table = {
        "format": FORMAT,
        "model": {"name": found.model, "version": found.version},
        "engine": {"name": found.engine, "precision": found.precision, "machine": found.machine},
        "place": found.place,
        "created": found.created.isoformat(timespec="seconds"),
        "processes": found.processes,
        "seconds": round(found.seconds, 3),
        "images": {
            "evaluated": figures.images,
            "broken": len(found.broken),
            "not_images": len(found.not_images),
            "of_unknown_classes": sum(one.images for one in found.unknown.values()),
        },
        "top_1": figures.top_1,
        "top_5": figures.top_5,
        "calibration_error": figures.calibration_error,
        "calibration_bins": [asdict(one) for one in figures.bins],
        "unsure_below": {"rule": RULE, "score": figures.unsure_below, "unsure": figures.unsure},
        "classes": [_class(found, one) for one in figures.classes],
        "confusions": [asdict(one) for one in figures.confusions],
        "mistakes": [asdict(one) for one in found.mistakes],
        "broken": [asdict(one) for one in found.broken],
        "not_images": [asdict(one) for one in found.not_images],
        "unknown_classes": [{"class": name, **asdict(one)} for name, one in found.unknown.items()],
    }
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def _class(found: Evaluation, one: ClassFigures) -> dict[str, Any]:
    names = {language: lines[one.index] for language, lines in found.labels.names.items()}
    return {**asdict(one), "labels": names, "precision": one.precision, "recall": one.recall}


def table(found: Evaluation) -> str:
    """Return the evaluation for a terminal; long lists are cut short."""
    return "\n".join(_lines(found))


def _lines(found: Evaluation) -> Iterator[str]:
    yield readable(found.heading)
    yield ""
    yield aligned([(name, value, note and f"({note})") for name, value, note in summary(found)])
    yield from _classes(found)
    pairs = found.figures.confusions
    confused = [f"{one.images}  {found.shown(one.truth)} answered as {found.shown(one.answered)}" for one in pairs]
    yield from _list(f"most confused ({len(pairs)})", confused)
    wrong = [
        f"{one.score:.3f}  {one.file}: {found.shown(one.truth)} answered as {found.shown(one.answered)}"
        for one in found.mistakes
    ]
    yield from _list("worst mistakes", wrong)
    for title, rows in left_out(found):
        yield from _list(title, [f"{name}: {reason}" for name, reason in rows])


def _classes(found: Evaluation) -> Iterator[str]:
    classes = found.weakest()
    rows = [
        (str(one.images), percent(one.recall), percent(one.precision), readable(found.shown(one.index)))
        for one in classes
    ]
    yield ""
    few = len(rows) <= MOST_CLASSES
    yield "classes, lowest recall first" if few else f"the {FEW} classes with the lowest recall"
    yield aligned([("images", "recall", "precision", "class"), *(rows if few else rows[:FEW])])


def _list(title: str, rows: Sequence[str]) -> Iterator[str]:
    """Yield the title and the first FEW rows; nothing where there are none."""
    if rows:
        yield ""
        yield title
        yield from (f"   {readable(row)}" for row in rows[:FEW])
    if len(rows) > FEW:
        yield f"   ... and {len(rows) - FEW} more"


def few(names: Iterable[str]) -> str:
    """Return the first names of a list, and how many more there are."""
    return some(map(readable, names), FEW)

"""`[output]` and `[[golden]]` of model.toml: the meaning of the logits, and images with known answers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.contract import languages
from worker.contract.fields import Fields
from worker.models.labels import ACTIVATIONS, LANGUAGES, SIGMOID, SOFTMAX, Labels
from worker.models.scores import REPORTED, THRESHOLD, TOP_K, Group, Output


@dataclass(frozen=True)
class Golden:
    """An image with its known class and score, which the model must return before the worker is ready."""

    image: Path
    index: int
    label: str
    score: float
    example: bool = False  # whether it is offered to users as an example


def read_output(fields: Fields, path: Path) -> Output:
    """Return the table as an Output, with the label files in the folder `path`; add faults to `fields`."""
    activation = fields.choice("activation", ACTIVATIONS)
    labels = _labels(fields.table("labels"), path)
    top_k = fields.number("top_k", int, TOP_K)
    if top_k < 1:
        fields.fault("top_k", f"must be at least 1, found {top_k}")
    groups = _groups(fields, labels.count)
    unsure_below = _share(fields, "unsure_below", 0.0) if fields.has("unsure_below") else None
    return Output(activation, labels, top_k, _share(fields, "threshold", THRESHOLD), groups, unsure_below)


def read_golden(fields: Fields, path: Path, output: Output) -> Golden:
    """Return one table as a Golden, checked against the labels and groups of `output`; add faults to `fields`."""
    golden = Golden(
        path / fields.text("image"), fields.number("index", int), fields.text("label"), fields.number("score", float),
        fields.flag("example"),
    )  # fmt: skip
    spoken = [lines[golden.index] for lines in output.labels.names.values() if 0 <= golden.index < len(lines)]
    if golden.label not in spoken:
        fields.fault("label", f"{golden.label!r} is not what line {golden.index} of the labels says ({spoken})")
    for group in output.groups:
        if golden.index in group.classes:
            fields.fault(
                "index", f'{golden.index} is in group "{group.name}"; name a class that competes for the label'
            )
    return golden


def _labels(fields: Fields, path: Path) -> Labels:
    codes = [*LANGUAGES, *sorted(fields.keys() - {*LANGUAGES})]
    for code in codes:
        if fault := languages.fault(code):
            fields.fault(code, fault)
    names = {code: _lines(fields, path, code) for code in codes if fields.has(code)}
    if not names:
        fields.fault("", f"must name a file for at least one language, such as {' or '.join(LANGUAGES)}")
        return Labels({"en": ()})
    if len({len(lines) for lines in names.values()}) > 1:
        counts = ", ".join(f"{language} {len(lines)}" for language, lines in names.items())
        fields.fault("", f"must have as many lines in every language, found {counts}")
    return Labels(names)


def _lines(fields: Fields, path: Path, language: str) -> tuple[str, ...]:
    file = path / fields.text(language)
    try:
        lines = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        fields.fault(language, f"cannot be read: {error}")
        return ()
    if blank := [number for number, line in enumerate(lines, 1) if not line]:
        fields.fault(language, f"{file.name} has a blank line {blank[0]}; one label a line, line number = index")
    return lines


def _groups(fields: Fields, count: int) -> tuple[Group, ...]:
    """Return the [[output.groups]] of a network with `count` classes; add faults to `fields`."""
    rows = fields.tables("groups") if fields.has("groups") else []
    groups = [_group(row, count) for row in rows]
    for number, (row, group) in enumerate(zip(rows, groups, strict=True)):
        _refuse_overlap(row, group, groups[:number])
    if count and {index for group in groups for index in group.classes} >= {*range(count)}:
        fields.fault("groups", f"hold all {count} classes; leave out those that compete for the label")
    return tuple(groups)


def _group(fields: Fields, count: int) -> Group:
    activation = fields.choice("activation", ACTIVATIONS)
    classes = fields.numbers("classes", int, None)
    outside = [index for index in classes if not 0 <= index < count]
    if count and outside:  # missing labels are a fault already
        fields.fault("classes", f"must be lines of the labels, 0 to {count - 1}, found {outside[0]}")
    if activation == SOFTMAX and len(classes) == 1:
        fields.fault("classes", f"must be two or more for {SOFTMAX}, which gives a lone class 1 whatever the image")
    threshold = _share(fields, "threshold", REPORTED) if activation == SIGMOID else REPORTED
    return Group(fields.text("name"), classes, activation, threshold)


def _refuse_overlap(fields: Fields, group: Group, before: Sequence[Group]) -> None:
    """Add a fault for each class that `group` names twice, or shares with one of the groups `before` it."""
    if twice := [index for index, times in Counter(group.classes).items() if times > 1]:
        fields.fault("classes", f"must name each class once, found {twice[0]} twice")
    for other in before:
        if other.name == group.name:
            fields.fault("name", f"{group.name!r} is the name of another group; give each its own")
        if shared := [index for index in group.classes if index in other.classes]:
            fields.fault("classes", f'{shared[0]} is in group "{other.name}" already; a class is in one group at most')


def _share(fields: Fields, key: str, default: float) -> float:
    value = fields.number(key, float, default)
    if not 0 <= value <= 1:
        fields.fault(key, f"must be from 0 to 1, found {value:g}")
    return value

"""`[output]` and `[[golden]]` of model.toml: the meaning of the logits, and images with known answers."""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.contract import languages
from worker.contract.toml_reader import TomlReader
from worker.models.labels import ACTIVATIONS, LANGUAGES, SIGMOID, SOFTMAX, Labels
from worker.models.scores import DEFAULT_GROUP_THRESHOLD, THRESHOLD, TOP_K, Group, Output


@dataclass(frozen=True)
class Golden:
    """An image with its known class and score, which the model must return before the worker is ready."""

    image: Path
    index: int
    label: str
    score: float
    example: bool = False  # whether it is offered to users as an example


def read_output(reader: TomlReader, path: Path, files: Container[str]) -> Output:
    """Return the table as an Output, with the label files in the folder `path`, which are among its `files`.

    Add faults to `reader`.
    """
    activation = reader.choice("activation", ACTIVATIONS)
    labels = _labels(reader.table("labels"), path, files)
    top_k = reader.number("top_k", int, TOP_K)
    if top_k < 1:
        reader.fault("top_k", f"must be at least 1, found {top_k}")
    groups = _groups(reader, labels.count)
    unsure_below = _fraction(reader, "unsure_below", 0.0) if reader.has("unsure_below") else None
    threshold, tensor = _fraction(reader, "threshold", THRESHOLD), reader.text("tensor", "")
    return Output(activation, labels, top_k, threshold, groups, unsure_below, tensor)


def read_golden(reader: TomlReader, path: Path, files: Container[str], output: Output) -> Golden:
    """Return one table as a Golden, checked against `files`, and the labels and groups of `output`.

    Add faults to `reader`.
    """
    golden = Golden(
        _listed(reader, "image", path, files) or path,
        reader.number("index", int), reader.text("label"), reader.number("score", float),
        reader.flag("example"),
    )  # fmt: skip
    names = [lines[golden.index] for lines in output.labels.names.values() if 0 <= golden.index < len(lines)]
    if golden.label not in names:
        reader.fault("label", f"{golden.label!r} is not the label in line {golden.index} ({names})")
    for group in output.groups:
        if golden.index in group.classes:
            reader.fault(
                "index", f'{golden.index} is in group "{group.name}"; name a class that competes for the label'
            )
    return golden


def _listed(reader: TomlReader, key: str, path: Path, files: Container[str]) -> Path | None:
    """Return the file that `key` names. Add a fault and return None if it is not one of `files` in the folder `path`.

    Labels are read before its sha256 is verified, so nothing outside the folder may be read.
    """
    name = reader.text(key)
    if name not in files:
        reader.fault(key, f"{name!r} is not listed under [files]; list it with its sha256")
    elif not (path / name).resolve().is_relative_to(path.resolve()):
        reader.fault(key, f"{name!r} is outside the model folder; copy it into the folder")
    else:
        return path / name
    return None


def _labels(reader: TomlReader, path: Path, files: Container[str]) -> Labels:
    codes = [*LANGUAGES, *sorted(reader.keys() - {*LANGUAGES})]
    for code in codes:
        if fault := languages.fault(code):
            reader.fault(code, fault)
    names = {code: _lines(reader, path, files, code) for code in codes if reader.has(code)}
    if not names:
        reader.fault("", f"must name a file for at least one language, such as {' or '.join(LANGUAGES)}")
        return Labels({"en": ()})
    if len({len(lines) for lines in names.values()}) > 1:
        counts = ", ".join(f"{language} {len(lines)}" for language, lines in names.items())
        reader.fault("", f"must have as many lines in every language, found {counts}")
    return Labels(names)


def _lines(reader: TomlReader, path: Path, files: Container[str], language: str) -> tuple[str, ...]:
    file = _listed(reader, language, path, files)
    if file is None:
        return ()
    if file.exists() and not file.is_file():
        reader.fault(language, f"{file.name} is no file; replace it with a text file of one label a line")
        return ()
    try:
        lines = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        reader.fault(language, f"cannot be read: {error}")
        return ()
    if blank := [number for number, line in enumerate(lines, 1) if not line]:
        reader.fault(language, f"{file.name} has a blank line {blank[0]}; one label a line, line number = index")
    return lines


def _groups(reader: TomlReader, count: int) -> tuple[Group, ...]:
    """Return the [[output.groups]] of a network with `count` classes; add faults to `reader`."""
    rows = reader.tables("groups") if reader.has("groups") else []
    groups = [_group(row, count) for row in rows]
    for number, (row, group) in enumerate(zip(rows, groups, strict=True)):
        _refuse_overlap(row, group, groups[:number])
    if count and {index for group in groups for index in group.classes} >= {*range(count)}:
        reader.fault("groups", f"contain all {count} classes; leave out those that compete for the label")
    return tuple(groups)


def _group(reader: TomlReader, count: int) -> Group:
    activation = reader.choice("activation", ACTIVATIONS)
    classes = reader.numbers("classes", int, None)
    outside = [index for index in classes if not 0 <= index < count]
    if count and outside:  # missing labels are a fault already
        reader.fault("classes", f"must be lines of the labels, 0 to {count - 1}, found {outside[0]}")
    if activation == SOFTMAX and len(classes) == 1:
        reader.fault(
            "classes", f"must be two or more for {SOFTMAX}, which gives a single class the score 1 for every image"
        )
    threshold = (
        _fraction(reader, "threshold", DEFAULT_GROUP_THRESHOLD) if activation == SIGMOID else DEFAULT_GROUP_THRESHOLD
    )
    return Group(reader.text("name"), classes, activation, threshold)


def _refuse_overlap(reader: TomlReader, group: Group, before: Sequence[Group]) -> None:
    """Add a fault for each class that `group` names twice, or shares with one of the groups `before` it."""
    if duplicates := [index for index, times in Counter(group.classes).items() if times > 1]:
        reader.fault("classes", f"must name each class once, found {duplicates[0]} twice")
    for other in before:
        if other.name == group.name:
            reader.fault("name", f"{group.name!r} is the name of another group; give each group its own")
        if shared := [index for index in group.classes if index in other.classes]:
            reader.fault("classes", f'{shared[0]} is in group "{other.name}" already; a class is in one group at most')


def _fraction(reader: TomlReader, key: str, default: float) -> float:
    value = reader.number(key, float, default)
    if not 0 <= value <= 1:
        reader.fault(key, f"must be from 0 to 1, found {value:g}")
    return value

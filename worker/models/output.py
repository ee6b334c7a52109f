"""`[output]` and `[[golden]]` of model.toml: what the network's numbers mean, and answers that are known."""

from dataclasses import dataclass
from pathlib import Path

from worker.labels import ACTIVATIONS, LANGUAGES, Labels
from worker.models.fields import Fields


@dataclass(frozen=True)
class Output:
    """How logits become scores, and what the classes are called."""

    activation: str
    labels: Labels


@dataclass(frozen=True)
class Golden:
    """A picture whose answer is known: its class and score must come back before the worker is ready."""

    image: Path
    index: int
    label: str
    score: float


def read_output(fields: Fields, path: Path) -> Output:
    """The table as an Output, its label files read from the folder `path`; faults go to `fields`."""
    activation = fields.choice("activation", ACTIVATIONS)
    return Output(activation, _labels(fields.table("labels"), path))


def read_golden(fields: Fields, path: Path, labels: Labels) -> Golden:
    """One table as a Golden, its label held against `labels`; faults go to `fields`."""
    golden = Golden(
        path / fields.text("image"), fields.number("index", int), fields.text("label"), fields.number("score", float)
    )
    spoken = [lines[golden.index] for lines in labels.names.values() if 0 <= golden.index < len(lines)]
    if golden.label not in spoken:
        fields.fault("label", f"{golden.label!r} is not what line {golden.index} of the labels says ({spoken})")
    return golden


def _labels(fields: Fields, path: Path) -> Labels:
    names = {language: _lines(fields, path, language) for language in LANGUAGES if fields.has(language)}
    if not names:
        fields.fault("", f"must name a file for at least one of: {', '.join(LANGUAGES)}")
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

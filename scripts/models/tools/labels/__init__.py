"""Read the labels in files as tools write them: one per line, with an index or synset, or JSON, YAML, CSV, pbtxt."""

from pathlib import Path

from scripts.models.tools.labels.lines import from_lines
from scripts.models.tools.labels.order import Entries, ordered
from scripts.models.tools.labels.tables import from_pbtxt, from_table
from scripts.models.tools.labels.text import read_text
from scripts.models.tools.labels.values import from_value, is_structured, parse
from worker.contract.toml_reader import ModelError


def read_label_file(file: Path, language: str, classes: int = 0) -> tuple[tuple[str, ...], list[str]]:
    """Return the labels in `file` by index, and notes on what was done to read them.

    `classes` is the number of the network's outputs, 0 if it is unknown. Raise ModelError if the encoding is not
    certain, or if the indices are not those of all classes.
    """
    text, encoding = read_text(file, language)
    notes = [f"{file.name}: read as {encoding}"] * bool(encoding)
    try:
        labels, more = _labels(text.replace("\r\n", "\n").replace("\r", "\n"), file.suffix.lower(), classes)
    except ValueError as error:
        raise ModelError(f"{file}: {error}") from error
    return tuple(labels), notes + [f"{file.name}: {note}" for note in more]


def _labels(text: str, suffix: str, classes: int) -> tuple[list[str], list[str]]:
    """Return the labels in `text` and the notes. Raise ValueError with the fault."""
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if is_structured(text, suffix):
        found: list[str] | Entries | None = from_value(parse(text, suffix))
    else:
        found = from_pbtxt(text) or from_table(lines)
    if not found:
        return from_lines(lines, classes)
    if labels := [each for each in found if isinstance(each, str)]:
        return labels, []
    return ordered([each for each in found if not isinstance(each, str)], classes)

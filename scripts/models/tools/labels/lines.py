"""Read labels from lines, of which each may have an index or a synset before the label, or an index after it."""

import re

from scripts.models.tools.labels.order import Entries, is_complete, ordered
from scripts.models.tools.labels.tables import LABEL_FIELDS

INDEX_BEFORE = re.compile(r"\s*[\"']?(\d{1,6})[\"']?(\s*[:,;=|)]\s*|\s*\t\s*|\.\s+|\s+)(\S.*)")
INDEX_AFTER = re.compile(r"(\S.*?)(\s*[:,;=|]\s*|\s*\t\s*)(\d{1,6})\s*")
SYNSET_BEFORE = re.compile(r"\s*[\"']?(n\d{8})[\"']?\s*[:,;|\t ]\s*(\S.*)")
QUOTED = re.compile(r"\s*(?:\"(.*)\"|'(.*)'),?\s*")


def from_lines(lines: list[str], classes: int) -> tuple[list[str], list[str]]:
    """Return the labels in `lines` by index, and notes on what was done.

    An index or synset is taken away only if every line has one, so that labels which begin with a number remain.
    `classes` is the number of the network's outputs, 0 if it is unknown. Raise ValueError if indices are missing.
    """
    lines = _without_heading(lines, classes)
    labels, notes = _without_index(lines, classes)
    if all(matches := [SYNSET_BEFORE.fullmatch(label) for label in labels]):
        labels = [match[2] for match in matches if match]
        again, more = _without_index(labels, classes) if not notes else (labels, [])
        labels, notes = again, [*notes, "the synset before each label is left out", *more]
    if all(quoted := [QUOTED.fullmatch(label) for label in labels]):
        labels = [match[1] or match[2] or "" for match in quoted if match]
    if len(labels) == 1 and classes > 1 and len(parts := labels[0].split(",")) == classes:
        return [part.strip(" \"'") for part in parts], ["the labels are separated by commas"]
    return labels, notes


def _without_heading(lines: list[str], classes: int) -> list[str]:
    """Return `lines` without comments, or a heading such as "label", if that leaves one for each class."""
    if not classes or len(lines) == classes:
        return lines
    if len(rest := [line for line in lines if line.strip() and not line.startswith("#")]) == classes:
        return rest
    heading = len(lines) == classes + 1 and lines[0].strip(" \"'").lower() in LABEL_FIELDS
    return lines[1:] if heading else lines


def _without_index(lines: list[str], classes: int) -> tuple[list[str], list[str]]:
    """Return `lines` without the index in each, ordered by it, and notes; unchanged if they have none."""
    before = [match for line in lines if (match := INDEX_BEFORE.fullmatch(line))]
    if len(before) == len(lines) and before:
        entries: Entries = [(int(match[1]), match[3].strip()) for match in before]
        explicit = all(match[2].strip(" ") for match in before)
        # Only blanks: "2 euro" may be a label; indices are complete, and distinguish nothing but themselves.
        if explicit or (is_complete(entries) and len({label for _, label in entries}) == len(entries)):
            return _noted(*ordered(entries, classes), place="before")
    after = [match for line in lines if (match := INDEX_AFTER.fullmatch(line))]
    if len(after) == len(lines) and after and is_complete(entries := [(int(match[3]), match[1]) for match in after]):
        return _noted(*ordered(entries, classes), place="after")
    return lines, []


def _noted(labels: list[str], notes: list[str], place: str) -> tuple[list[str], list[str]]:
    return labels, [f"the index {place} each label is left out", *notes]

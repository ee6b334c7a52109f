"""Read labels from a table with a heading, and from TensorFlow's label maps."""

import csv
import re

from scripts.models.tools.labels.order import Entries

INDEX_FIELDS = ("id", "index", "idx", "class_id", "classid", "class_index", "label_id", "category_id", "", "unnamed: 0")
LABEL_FIELDS = (
    "display_name", "label", "labels", "name", "names", "class_name", "classname", "label_name", "class", "classes",
    "english", "title", "category", "description",
)  # fmt: skip
DELIMITERS = ",;\t"
ITEM = re.compile(r"item\s*\{(.*?)\}", re.DOTALL)
FIELD = re.compile(r"(\w+)\s*:\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|(\S+))")


def from_table(lines: list[str]) -> list[str] | Entries | None:
    """Return the labels of a table with a heading, with their indices if it has a column of them; None for no table.

    Raise ValueError if a row is shorter than the heading.
    """
    for delimiter in DELIMITERS:
        rows = [[field.strip() for field in row] for row in csv.reader(lines, delimiter=delimiter)]
        heading = [field.lower() for field in rows[0]] if rows else []
        if len(heading) < 2 or len(rows) < 2 or sum(field in (*INDEX_FIELDS, *LABEL_FIELDS) for field in heading) < 2:
            continue
        if short := [str(number) for number, row in enumerate(rows, 1) if len(row) < len(heading)]:
            raise ValueError(f"line {short[0]} has fewer fields than the heading: complete it")
        columns = [[row[number] for row in rows[1:]] for number in range(len(heading))]
        numeric = [all(value.isdecimal() for value in column) for column in columns]
        index = next((number for number, field in enumerate(heading) if numeric[number] and _is_index(field)), None)
        labels = next((heading.index(field) for field in LABEL_FIELDS if _is_at(heading, field, index)), None)
        if labels is None:
            continue
        if index is None:
            return columns[labels]
        return [(int(number), label) for number, label in zip(columns[index], columns[labels], strict=True)]
    return None


def from_pbtxt(text: str) -> Entries | None:
    """Return the labels of a label map of TensorFlow's object detection API; None if `text` is none.

    Raise ValueError if an item has no index or no label.
    """
    entries: Entries = []
    if not ITEM.match(text.lstrip()):
        return None
    for number, item in enumerate(ITEM.findall(text), 1):
        fields = {match[1]: match[2] or match[3] or match[4] for match in FIELD.finditer(item)}
        label = fields.get("display_name") or fields.get("name")
        if not label or not fields.get("id", "").isdecimal():
            raise ValueError(f"item {number} needs an id and a name: add them")
        entries.append((int(fields["id"]), label))
    return entries


def _is_index(field: str) -> bool:
    return field in (*INDEX_FIELDS, "class", "label", "category")


def _is_at(heading: list[str], field: str, index: int | None) -> bool:
    return field in heading and heading.index(field) != index

"""Read labels from JSON, YAML or the text of a Python dictionary or list: by index, by label, or in order."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from scripts.models.tools.labels.order import Entries
from scripts.models.tools.labels.tables import INDEX_FIELDS, LABEL_FIELDS
from worker.contract.toml_reader import abbreviate

YAML = (".yaml", ".yml")
# Keys under which tools write labels, in the order in which they are looked for.
KEYS = (
    "id2label", "idx_to_class", "idx2label", "index_to_label", "label_names", "class_names", "names", "classes",
    "CLASSES", "labels", "categories", "label2id", "class_to_idx", "class_indices", "label_map", "dataset_meta",
)  # fmt: skip


def is_structured(text: str, suffix: str) -> bool:
    """Return whether `text`, from a file with `suffix`, is JSON, YAML or a Python dictionary or list."""
    listed = re.search(r"^(names|classes):\s*([\[{]|$)", text, re.MULTILINE)
    return suffix in (".json", *YAML) or text.lstrip().startswith(("{", "[")) or bool(listed)


def parse(text: str, suffix: str) -> Any:
    """Return the value of `text`. Raise ValueError if it is no JSON, YAML or Python literal."""
    try:
        return json.loads(text)
    except ValueError as error:
        fault = f"is not valid JSON: {error}"
    if not text.lstrip().startswith(("{", "[")) and suffix != ".json":
        try:
            return yaml.BaseLoader(text).get_single_data()  # every scalar as text: "no" is a label, not False
        except yaml.YAMLError as error:
            raise ValueError(f"is not valid YAML: {str(error).splitlines()[0]}") from error
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(fault) from None


def from_value(value: Any) -> list[str] | Entries:
    """Return the labels in `value`, with their indices if it has them. Raise ValueError if it has no labels."""
    if isinstance(value, Mapping):
        return _from_mapping({str(key): item for key, item in value.items()})
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ValueError(f"found {_kind(value)}, needed a list of labels, or a mapping of indices and labels")
    if all(isinstance(item, Mapping) for item in value):
        return _from_records(value)
    if all(isinstance(item, Sequence) and len(item) == 2 and _is_index(item[0]) for item in value):
        return [(int(item[0]), _label(item[1])) for item in value]
    return [_label(item) for item in value]


def _from_mapping(value: Mapping[str, Any]) -> list[str] | Entries:
    if key := next((key for key in KEYS if isinstance(value.get(key), Mapping | list | tuple)), None):
        return from_value(value[key])
    by_index, by_label = all(map(_is_index, value)), all(map(_is_index, value.values()))
    if by_index and by_label and [str(item) for item in value.values()] != [*value]:
        raise ValueError("found numbers on both sides, needed labels on one: write one label a line, in order")
    if value and by_index:
        return [(int(key), _label(item)) for key, item in value.items()]
    if value and by_label:
        return [(int(item), key) for key, item in value.items()]
    if value and all(isinstance(item, Mapping) for item in value.values()):
        return _from_records([{"name": key, **item} for key, item in value.items()])
    found = abbreviate(value, 5) or "nothing"
    raise ValueError(f"found {found}, needed a mapping of indices and labels, or one of the keys {', '.join(KEYS)}")


def _from_records(records: Sequence[Mapping[str, Any]]) -> list[str] | Entries:
    """Return the labels of `records`, each with a label and perhaps an index under one of the usual keys."""
    label = next((key for key in LABEL_FIELDS if all(isinstance(each.get(key), str) for each in records)), None)
    index = next((key for key in INDEX_FIELDS if all(_is_index(each.get(key)) for each in records)), None)
    if label is None:
        raise ValueError(f"found entries with {abbreviate(map(str, records[0]), 5)}, needed a name in each")
    if index is None:
        return [str(each[label]) for each in records]
    return [(int(each[index]), str(each[label])) for each in records]


def _label(value: Any) -> str:
    """Return the label in `value`: a text, a number, the last of a synset and a label, or an entry with a name."""
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, Sequence) and value and all(isinstance(item, str) for item in value):
        return str(value[-1])
    if isinstance(value, Mapping) and (key := next((key for key in LABEL_FIELDS if key in value), None)):
        return str(value[key])
    raise ValueError(f"found {_kind(value)} in place of a label, needed a text")


def _is_index(value: Any) -> bool:
    if isinstance(value, str):
        return value.isdecimal()
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _kind(value: Any) -> str:
    return "nothing" if value is None or value in ("", [], {}) else f"{type(value).__name__} {str(value)[:50]!r}"

"""YAML for a person to read, of what JSON can hold: enough of it for manifests, without a package."""

import json
import re
from collections.abc import Iterator
from typing import Any

PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9./_-]*")
WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # which YAML 1.1 takes for something else


def dump(value: Any) -> str:
    """A document; `value` is made of dicts, lists, strings, whole numbers and truth values."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{_scalar(key)}:", item, "  ")
    elif isinstance(value, list) and value:
        for item in value:
            first, *rest = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(head: str, item: Any, indent: str) -> Iterator[str]:
    if isinstance(item, (dict, list)) and item:
        yield head
        yield from (indent + line for line in _lines(item))
    elif isinstance(item, str) and "\n" in item and item.endswith("\n") and item[0] not in " \n":
        yield f"{head} |"
        yield from (indent + line for line in item.splitlines())
    else:
        yield f"{head} {_scalar(item)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)

"""Parse TOML, and refuse what nothing can use. A table's values are then read by toml_reader.py."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worker.contract.schemas import MODEL, schema_fault
from worker.contract.toml_reader import ModelError

WIDE_NUMBER = "found a whole number beyond 64 bits, needed a smaller one"


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table in the model.toml at `path`, without its schema.

    Raise OSError, or ModelError with the faulty line, or if a later release wrote it.
    """
    try:
        table = parse_toml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: byte {error.start} is not UTF-8: save the file as UTF-8") from error
    except ValueError as error:
        raise ModelError(f"{path}: {error}: correct it there") from error
    if fault := schema_fault(table.pop("schema", 1), MODEL):
        raise ModelError(f"{path}: {fault}")
    return table


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table that the TOML `text` describes.

    Raise ValueError for what is not TOML, or begins with the mark that some editors put there, and for values that
    nothing can use: texts with the character U+0000, which no path may hold, and numbers beyond 64 bits, which TOML 1.0
    refuses, too.
    """
    if text.startswith("\ufeff"):
        raise ValueError("found a byte order mark (BOM) at the beginning, needed UTF-8 without one")
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("found values nested too deeply, needed at most a few levels") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not valid TOML: {error}") from error
    except ValueError as error:  # Python converts no number of more than some thousand digits
        raise ValueError(WIDE_NUMBER) from error
    for value in _leaves(table):
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"found the character U+0000 in {value[:50]!r}, needed a text without it")
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise ValueError(WIDE_NUMBER)
    return table


def _leaves(value: object) -> Iterator[object]:
    """Yield every key and every value that is no list or table."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if not isinstance(value, list):
        yield value
        return
    for item in value:
        yield from _leaves(item)

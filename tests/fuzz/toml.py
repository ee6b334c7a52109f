"""TOML files with wrong keys and values: a valid table, changed in a few places, as text."""

import copy
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from scripts._vendor import tomlkit

WORDS = ["", " ", "auto", "none", ".", "..", "/", "../../etc/passwd", "a\0b", "a" * 5_000, "\n", "0-3,8", "9-1", "en"]
TEXTS = st.sampled_from([*WORDS, "0-99999999999"])
KEYS = st.text(min_size=1, max_size=4)
NUMBERS = st.integers(-2, 9) | st.sampled_from([10**6, 10**12, (1 << 63) - 1, -(1 << 63)])
SCALARS = st.one_of(st.booleans(), NUMBERS, st.floats(), TEXTS, st.text(max_size=8), st.datetimes())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
Table = dict[str, Any]


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to everything inside `value`."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(*path, key) for key, _ in children]
    return found + [below for key, inner in children for below in paths(inner, (*path, key))]


@st.composite
def wrong(draw: st.DrawFn, tables: Sequence[Table]) -> Table:
    """Draw one of `tables` with up to four values replaced, removed, added or taken from another place."""
    table = copy.deepcopy(draw(st.sampled_from(tables)))
    for _ in range(draw(st.integers(1, 4))):
        if not (places := paths(table)):
            break
        *path, key = draw(st.sampled_from(places))
        inner: Any = table
        for step in path:
            inner = inner[step]
        what = draw(st.sampled_from(["replace", "replace", "remove", "add", "copy"]))
        if what == "remove":
            del inner[key]
        elif what == "copy":
            inner[key] = copy.deepcopy(at(table, draw(st.sampled_from(places))))
        elif what == "add" and isinstance(inner, dict):
            inner[draw(KEYS)] = draw(VALUES)
        else:
            inner[key] = draw(VALUES)
    return table


def at(table: Any, path: Sequence[Any]) -> Any:
    for step in path:
        table = table[step]
    return table


def text(table: Table) -> bytes:
    return tomlkit.dumps(table).encode(errors="replace")


def files(tables: Sequence[Table]) -> st.SearchStrategy[bytes]:
    """Return a strategy of TOML files like `tables`."""
    return wrong(tables).map(text) | st.sampled_from([text(table) for table in tables])

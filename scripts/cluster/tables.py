"""Read the tables of `compose/cluster.toml` by their schema: the values that are valid, and a line for every fault."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from scripts.cluster.kinds import REQUIRED
from scripts.cluster.schema import SCHEMA


def read_all(tables: object, section: str, faults: list[str]) -> list[dict[str, Any]]:
    """Return the valid values of each table of an array; append a fault to `faults` for each of the others."""
    if not isinstance(tables, list) or not tables:
        faults.append(f"{section}: found {_format(tables)}, needed one or more [[{section}]] tables")
        return []
    return [read_table(table, section, f"{section}/{index}", faults) for index, table in enumerate(tables)]


def read_table(table: object, section: str, path: str, faults: list[str]) -> dict[str, Any]:
    """Return the valid values of one table by key; append a fault to `faults` for each of the others."""
    if not isinstance(table, dict):
        faults.append(f"{path}: found {_format(table)}, needed a table")
        return {}
    faults += unknown_keys(table, list(SCHEMA[section]), path)
    values = {}
    for name, key in SCHEMA[section].items():
        value = table.get(name, key.default)
        try:
            values[name] = key.read(value)
        except ValueError:
            formatted = "nothing" if value is REQUIRED else _format(value)
            faults.append(f"{_join(path, name)}: found {formatted}, needed {key.needed}")
    return values


def unknown_keys(table: Mapping[str, object], known: list[str], path: str) -> list[str]:
    """Return a fault for each key of the table at `path` that is not `known`, with the nearest one that is."""
    faults = []
    for name in sorted(table.keys() - set(known)):
        nearest = get_close_matches(name, known, 1)
        remedy = f'did you mean "{nearest[0]}"?' if nearest else f"the keys here are {', '.join(known)}"
        faults.append(f"{_join(path, name)}: unknown key, {remedy}")
    return faults


def duplicates(tables: list[dict[str, Any]], section: str, name: str) -> list[str]:
    """Return a fault for each of `tables` with the same value of the key `name` as an earlier one."""
    first: dict[str, int] = {}
    return [
        f"{section}/{index}/{name}: found {_format(table[name])}, already used by {section}/{owner},"
        f" needed a different {name}"
        for index, table in enumerate(tables)
        if name in table and (owner := first.setdefault(table[name], index)) != index
    ]


def contradictions(server: Mapping[str, Any]) -> list[str]:
    """Return a fault for each key of a `[[servers]]` table that another one rules out."""
    if server.get("cpus") != ():
        return []
    faults = [
        f'{name}: found {server[name]} together with cpus = "none", needed "auto": a CPU worker needs CPUs'
        for name in ("workers", "cores_per_worker")
        if server.get(name) is not None
    ]
    if server.get("gpus") == ():
        faults.append('gpus: found "none" together with cpus = "none", needed GPUs or CPUs to run workers on')
    return faults


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _format(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."

"""Rewrite [engine] and the prepared networks' entries under [files] of a model.toml, and nothing else. Pure."""

import tomllib
from collections.abc import Mapping
from typing import Any

from scripts._vendor import tomlkit
from worker.contract.decoding import DecodingMeasurement
from worker.contract.engine import EngineSpec, Measurement, Scaling
from worker.contract.toml_reader import ModelError

PREPARED_FOLDER = "prepared"  # inside a model folder; only the preparation writes there


def rewritten(text: str, source: str, digests: Mapping[str, str], engine: EngineSpec) -> str:
    """Return `text`, a model.toml, with `engine` and with `digests`, the sha256 of all prepared files by path.

    Raise ModelError, naming `source`, if the tables are laid out so that comments would be lost.
    """
    before = tomllib.loads(text)
    others = {path: digest for path, digest in before["files"].items() if not path.startswith(f"{PREPARED_FOLDER}/")}
    expected = before | {"files": others | dict(digests), "engine": engine_table(engine)}
    try:
        result = _edited(text, expected["files"], expected["engine"])
    except (tomlkit.exceptions.TOMLKitError, AttributeError):  # AttributeError: a table written in several pieces
        result = ""
    if not result or tomllib.loads(result) != expected:
        raise ModelError(
            f"{source}: found other tables between those of [engine] or [files], needed each of the two in "
            "one piece: move its tables together, then prepare the model again"
        )
    return result


def engine_table(engine: EngineSpec) -> dict[str, Any]:
    """Return the table [engine] with its subtables."""
    table: dict[str, Any] = {
        "name": engine.name,
        "precision": engine.precision,
        "batch_sizes": list(engine.batch_sizes),
    }
    if engine.wait_ms:
        table["wait_ms"] = engine.wait_ms
    if engine.decode:
        table["decode"] = engine.decode
    if engine.prepared:
        table["prepared"] = dict(engine.prepared)
    if engine.measured:
        table["measured"] = [_measured(row) for row in engine.measured]
    if engine.scaling:
        table["scaling"] = [_scaling(row) for row in engine.scaling]
    if engine.decoding:
        table["decoding"] = [_decoding(row) for row in engine.decoding]
    return table


def _measured(row: Measurement) -> dict[str, Any]:
    return {
        "machine": row.machine,
        "engine": row.engine,
        "precision": row.precision,
        "batch_sizes": list(row.batch_sizes),
        "images_per_s": round(row.images_per_s, 1),
        "agreement": round(row.agreement, 4),
        "difference": round(row.difference, 6),
        "chosen": row.chosen,
        **({"quick": True} if row.quick else {}),
    }


def _scaling(row: Scaling) -> dict[str, Any]:
    return {
        "machine": row.machine,
        "cores": row.cores,
        "images_per_s": round(row.images_per_s, 1),
        "latency_ms": round(row.latency_ms, 2),
    }


def _decoding(row: DecodingMeasurement) -> dict[str, Any]:
    return {
        "size": row.size,
        "images": row.images,
        "agreement": round(row.agreement, 4),
        "difference": round(row.difference, 6),
    }


def _edited(text: str, files: Mapping[str, str], engine: Mapping[str, Any]) -> str:
    document = tomlkit.parse(text)
    old_files, tail = document["files"], _cut_tail(document["files"])
    for path in old_files.keys() - files.keys():
        old_files.remove(path)
    for path in [path for path, digest in files.items() if old_files.get(path) != digest]:
        old_files[path] = files[path]
    _put_back(old_files, tail)
    tail = _cut_tail(document["engine"])
    document["engine"] = engine
    _cut_tail(document["engine"])  # drops the line break that tomlkit adds
    _put_back(document["engine"], tail)
    return str(tomlkit.dumps(document))


def _cut_tail(table: Any) -> list[Any]:
    """Remove and return the blank lines and comments that end the table: they belong to the next one."""
    tail: list[Any] = []
    for body in (table.value.body, _last_table(table).value.body):
        while body and body[-1][0] is None:
            tail.insert(0, body.pop()[1])
    return tail


def _put_back(table: Any, tail: list[Any]) -> None:
    _last_table(table).value.body.extend((None, item) for item in tail)


def _last_table(table: Any) -> Any:
    """Return the table that ends `table` in the file: itself, or its last subtable."""
    while True:
        children = [item for _, item in table.value.body if isinstance(item, (tomlkit.items.Table, tomlkit.items.AoT))]
        if not children:
            return table
        table = children[-1].body[-1] if isinstance(children[-1], tomlkit.items.AoT) else children[-1]

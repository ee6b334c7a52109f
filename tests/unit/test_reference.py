"""The reference in compose/reference/: every table of it is held against the code that it describes."""

import copy
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Info

from nginx.gate.metrics import METRICS, PREFIX
from scripts.cluster.config import ROOT
from scripts.cluster.kinds import REQUIRED
from scripts.cluster.schema import SCHEMA
from worker.contract.engine import AGREEMENT, QUANTISED_AGREEMENT
from worker.contract.engines import ENGINES
from worker.contract.toml_reader import MAX_DESCRIPTION_CHARACTERS, ModelError, TomlReader
from worker.models.folder import ModelFolder, read_folder
from worker.process.metrics import create_metrics

FOLDER = ROOT / "compose/reference"
Rows = dict[str, dict[str, tuple[str, ...]]]  # by section, by name: the other columns


def tables(page: str) -> Rows:
    """Return the tables of a page; the section is what its heading has in backquotes, else nothing."""
    found: Rows = {}
    section = ""
    for line in (FOLDER / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = "".join(re.findall(r"`\[*([\w.]+)\]*`", line))
        elif line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip("| ").split(" | "))
            assert name.strip("`") not in found.setdefault(section, {}), line
            found[section][name.strip("`")] = tuple(cells)
    return found


def test_every_page_has_a_line_in_the_readmes() -> None:
    chinese = {path.name for path in FOLDER.glob("*.zh.md")}
    english = {path.name for path in FOLDER.iterdir()} - chinese
    for readme, names in (("README.md", english), ("compose/README.md", english), ("README.zh.md", chinese)):
        text = (ROOT / readme).read_text(encoding="utf-8")
        assert [name for name in names if f"reference/{name}" not in text] == []


# --- cluster.toml -----------------------------------------------------------------------------------------------


def comments() -> dict[str, dict[str, str]]:
    """Return what the comments of the committed cluster.toml say of each key, by table."""
    said: dict[str, dict[str, str]] = {"": {}}
    table, key = "", ""
    for line in (ROOT / "compose/cluster.toml").read_text(encoding="utf-8").splitlines():
        if header := re.match(r"\[+(\w+)\]+", line):
            table, key = header[1], ""
            said[table] = {}
        elif entry := re.match(r"(?:# )?(\w+) = .+? # (.+)", line):
            key = entry[1]
            said[table][key] = entry[2]
        elif key and (more := re.match(r" {8,}# (.+)", line)):
            said[table][key] += f" {more[1]}"
    return said


def test_the_table_of_cluster_toml_is_its_schema_and_its_comments() -> None:
    said = comments()
    expected = {
        table: {
            name: (
                key.needed,
                "required" if key.default is REQUIRED else f"`{json.dumps(key.default)}`",
                said[table][name],
            )
            for name, key in keys.items()
        }
        for table, keys in SCHEMA.items()
    }
    assert tables("cluster-toml.md") == expected


# --- metrics ----------------------------------------------------------------------------------------------------


def row(kind: str, labels: Iterable[str], text: str) -> tuple[str, ...]:
    return kind, ", ".join(f"`{label}`" for label in labels) or "none", text


def test_the_tables_of_metrics_are_what_the_gate_and_a_worker_export() -> None:
    workers = {}
    for instrument in create_metrics(lambda: 0, lambda: 0).registry._collector_to_names:
        (family,) = instrument.collect()
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        labels = sorted(family.samples[0].labels) if isinstance(instrument, Info) else instrument._labelnames  # type: ignore[attr-defined]
        kind = "gauge" if family.type == "info" else family.type
        workers[f"{family.name}{suffix}"] = row(kind, labels, family.documentation)
    gate = {PREFIX + metric.name: row(metric.kind, metric.labels, metric.help) for metric in METRICS.values()}
    assert tables("metrics.md") == {"gate": gate, "worker": workers}


# --- model.toml -------------------------------------------------------------------------------------------------

EXAMPLE: dict[str, Any] = {  # every key that the reader knows; no network is read
    "name": "m", "version": "1", "licence": "MIT", "source": "hf:a/b", "loader": "zero_shot", "architecture": "x",
    "trust_code": True, "weights": "net.bin", "description": {"en": "Fruit"},
    "files": dict.fromkeys(("net.bin", "net.onnx", "en.txt", "zh.txt", "a.png"), "0" * 64),
    "input": {
        "size": [8, 8], "resize": 9, "rounding": "down", "interpolation": "bicubic", "channels": 3, "max_pixels": 9999,
        "decode": "exact", "overrides": ["mean"],
        "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "range": [0, 1000], "background": [0, 0, 0],
        "tiles": {"size": 8, "stride": 4, "merge": "max"},
    },
    "output": {
        "activation": "softmax", "tensor": "y", "top_k": 2, "threshold": 0.1, "unsure_below": 0.2,
        "labels": {"en": "en.txt", "zh": "zh.txt"},
        "groups": [{"name": "state", "classes": [2, 3], "activation": "sigmoid", "threshold": 0.4}],
    },
    "zero_shot": {"language": "en", "templates": ["a {}"]},
    "golden": [{"image": "a.png", "index": 0, "label": "a", "score": 0.5, "example": True}],
    "engine": {
        "name": "torch", "precision": "f32", "batch_sizes": [1], "wait_ms": 2.0, "decode": "scaled",
        "prepared": dict.fromkeys(("openvino-f32", "openvino-int8", "onnxruntime-f32", "onnxruntime-int8"), "net.onnx"),
        "measured": [
            {
                "machine": "k", "engine": "torch", "precision": precision, "batch_sizes": [1], "images_per_s": 9.0,
                "agreement": 1.0, "difference": 0.0, "chosen": precision == "f32",
                "quick": False,
            }
            for precision in ("f32", "bf16")
        ],
        "scaling": [{"machine": "k", "cores": 1, "images_per_s": 9.0, "latency_ms": 1.0}],
        "decoding": [{"size": "large", "images": 9, "agreement": 1.0, "difference": 0.0}],
    },
}  # fmt: skip
LANGUAGE, FILE = "output.labels.LANGUAGE", "files.PATH"
STANDS_FOR = {LANGUAGE: "zh", FILE: "net.onnx"}
NEVER = date(2026, 1, 1)  # no key takes a date
# What the reader needs depends on the rest of the folder.
SAYS = {
    "input.mean": ("a list of 3 numbers", "a list of numbers, one a channel"),
    "input.std": ("a list of 3 numbers", "a list of numbers, one a channel"),
    "zero_shot.language": ("one of zh, en", "a language of `[output.labels]`"),
}
MODEL_TOML = {
    f"{section}.{name}".lstrip("."): cells
    for section, rows in tables("model-toml.md").items()
    for name, cells in rows.items()
}


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


def read(path: Path, example: dict[str, Any]) -> ModelFolder:
    (path / "model.toml").write_text("".join(f"{json.dumps(key)} = {toml(item)}\n" for key, item in example.items()))
    for language in ("en", "zh"):
        (path / f"{language}.txt").write_text("a\nb\nc\nd\n")
    return read_folder(path)


def faults(path: Path, example: dict[str, Any]) -> list[str]:
    try:
        read(path, example)
    except ModelError as error:
        return [line.removeprefix(f"{path}/model.toml: ") for line in str(error).splitlines()]
    return []


def changed(key: str, *value: Any) -> dict[str, Any]:
    """Return the example with `value` under `key`, in the last of several tables, or without the key."""
    example = copy.deepcopy(EXAMPLE)
    *parents, name = key.split(".")
    table: Any = example
    for parent in parents:
        table = table[parent]
        table = table[-1] if isinstance(table, list) else table
    name = STANDS_FOR.get(key, name)
    del table[name]
    if value:
        table[name] = value[0]
    return example


def walked(table: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in table.items():
        inner = value[-1] if isinstance(value, list) and isinstance(value[-1], dict) else value
        if isinstance(inner, dict) and key != "description":
            yield from walked(inner, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def documented(key: str) -> str:
    """Return the key under which the table has `key`, whose last part may be free."""
    free = {name.rpartition(".")[0]: name for name in STANDS_FOR}
    return free.get(next((parent for parent in free if key.startswith(f"{parent}.")), ""), key)


def test_the_example_is_read_and_has_every_key_of_the_table(tmp_path: Path) -> None:
    assert read(tmp_path, EXAMPLE).name == "m"
    assert {documented(key) for key in walked(EXAMPLE)} == set(MODEL_TOML)
    assert all(value and default and meaning for value, default, meaning in MODEL_TOML.values())


def test_every_key_that_the_reader_asks_for_is_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    take, has = TomlReader._take, TomlReader.has

    def note(fields: TomlReader, key: str) -> None:
        asked.add(documented(re.sub(r"/(\d+/)?", ".", f"{fields._path}{key}")))

    def noted_take(fields: TomlReader, key: str, default: object) -> Any:
        note(fields, key)
        return take(fields, key, default)

    def noted_has(fields: TomlReader, key: str) -> bool:
        note(fields, key)
        return has(fields, key)

    monkeypatch.setattr(TomlReader, "_take", noted_take)
    monkeypatch.setattr(TomlReader, "has", noted_has)
    read(tmp_path, EXAMPLE)
    whole = {".".join(key.split(".")[:count]) for key in MODEL_TOML for count in range(1, key.count(".") + 1)}
    assert asked - whole == set(MODEL_TOML) - {FILE}


@pytest.mark.parametrize("key", sorted(set(MODEL_TOML) - {FILE}))
def test_the_type_of_a_key_is_what_the_reader_needs(key: str, tmp_path: Path) -> None:
    path = re.escape(key.replace("LANGUAGE", "zh")).replace(r"\.", r"/(?:\d+/)?")
    found = [re.match(rf"{path}: needs (.+), found datetime", line) for line in faults(tmp_path, changed(key, NEVER))]
    (needed,) = {match[1] for match in found if match}
    said, written = SAYS.get(key, (needed, needed))
    assert (needed, MODEL_TOML[key][0]) == (said, written)


@pytest.mark.parametrize("key", sorted(set(MODEL_TOML) - {FILE}))
def test_the_default_of_a_key_is_what_the_reader_takes_without_it(key: str, tmp_path: Path) -> None:
    default, without = MODEL_TOML[key][1], changed(key)
    if default == "required":
        assert any("found nothing" in line for line in faults(tmp_path, without))
    else:
        assert faults(tmp_path, without) == []
    if default not in ("required", "none"):
        value = tomllib.loads(f"value = {default.strip('`')}")["value"]
        assert read(tmp_path, without) == read(tmp_path, changed(key, value))


def test_the_numbers_that_the_page_names_are_the_code_s() -> None:
    assert f"at most {MAX_DESCRIPTION_CHARACTERS} characters" in MODEL_TOML["description"][2]
    assert f"from {AGREEMENT} on, int8 from {QUANTISED_AGREEMENT} on" in MODEL_TOML["engine.measured.agreement"][2]
    precisions = {name: engine.precisions for name, engine in ENGINES.items()}
    known = MODEL_TOML["engine.precision"][2].replace(" and ", ", ")
    assert all(re.search(rf"`{engine}` (runs )?{', '.join(names)}", known) for engine, names in precisions.items())

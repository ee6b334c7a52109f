"""The file names that several loaders look for, and reading their JSON configurations."""

import json
from pathlib import Path
from typing import Any

from worker.contract.toml_reader import ModelError

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
# A network in a folder of other files, in the order of choice: exact ones before quantised ones.
GRAPHS = (
    "openvino_model.xml", "openvino/openvino_model.xml", "model.onnx", "onnx/model.onnx",
    "model_quantized.onnx", "onnx/model_quantized.onnx",
)  # fmt: skip
STATE_DICTS = (".safetensors", ".pth", ".pt", ".th", ".ckpt", ".bin", ".tar")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in the file `path`. Raise ModelError if there is none."""
    if not path.is_file():
        raise ModelError(f"{path}: not found; copy it from where the model came from")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON: {error}; copy the file again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: found a {type(content).__name__}, needed a JSON object")
    return content


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of config.json in `folder`, {} if there is no such file. Raise ModelError if it is broken."""
    return read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}


def holds_graph_alone(folder: Path) -> bool:
    """Return whether `folder` holds one of GRAPHS, but no weights that torch reads."""
    if any(file.suffix in STATE_DICTS and not file.with_suffix(".xml").is_file() for file in folder.iterdir()):
        return False
    return any((folder / name).is_file() for name in GRAPHS)

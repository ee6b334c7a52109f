"""Read labels and preprocessing that exporters write into a network's own file: Ultralytics and TensorFlow Lite."""

import ast
import zipfile
from collections.abc import Mapping
from pathlib import Path

import openvino as ov

from worker.contract.toml_reader import ModelError
from worker.models.loaders.companion_settings import Settings, ultralytics_settings

FRAMEWORK = "framework"  # where OpenVINO keeps the metadata of an ONNX file
KEYS = ("task", "names", "imgsz")


def settings_inside(network: ov.Model, source: Path) -> Settings | None:
    """Return what Ultralytics wrote into the metadata of `network`, None if there is none.

    Raise ModelError, naming `source`, if the network is of another task or its metadata are damaged.
    """
    if not all(network.has_rt_info([FRAMEWORK, key]) for key in KEYS):
        return None
    task, names, size = (network.get_rt_info([FRAMEWORK, key]).astype(str) for key in KEYS)
    try:
        return ultralytics_settings(source, task, ast.literal_eval(names), ast.literal_eval(size))
    except (ValueError, SyntaxError) as error:
        raise ModelError(f"{source}: its metadata cannot be read: {error}; export it again") from error


def labels_inside(path: Path) -> Mapping[str, tuple[str, ...]]:
    """Return the labels in the metadata of the TensorFlow Lite file `path`, which are a zip archive at its end."""
    if path.suffix != ".tflite" or not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".txt") and "label" in name.lower()]
        text = archive.read(names[0]).decode("utf-8-sig") if names else ""
    return {"en": tuple(text.strip().splitlines())} if text.strip() else {}

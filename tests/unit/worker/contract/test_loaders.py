"""Loaders as they are declared: what each recognises, by names of files and configurations alone."""

import json
import re
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from worker.contract.declarations import TORCH
from worker.contract.loaders import LOADERS, format_of, loaders_with, reads_texts
from worker.contract.toml_reader import ModelError


def detecting(folder: Path) -> list[str]:
    return [name for name, loader in LOADERS.items() if loader.detects(folder)]


@pytest.mark.parametrize("name", LOADERS)
def test_every_loader_has_its_module(name: str) -> None:
    candidates = (f"{LOADERS[name].module_name}.py", f"{name}/__init__.py")
    module = next(path for candidate in candidates if (path := ROOT / "worker/models/loaders" / candidate).is_file())
    functions = set(re.findall(r"^def (\w+)", module.read_text(), re.MULTILINE))
    assert functions >= {"describe", "load" if LOADERS[name].format == TORCH else "is_quantised"}
    assert ("load_text_tower" in functions) is LOADERS[name].reads_texts


@pytest.mark.parametrize(
    ("files", "loader"),
    [
        ({"network.py": "", "config.json": {"model_type": "vit"}}, "checkpoint"),
        ({"open_clip_config.json": {}, "config.json": {"architecture": "vit"}}, "zero_shot"),
        ({"config.json": {"model_type": "clip", "architectures": ["CLIPModel"]}}, "zero_shot"),
        ({"config.json": {"model_type": "siglip2"}}, "zero_shot"),
        ({"config.json": {"model_type": "clip", "architectures": ["CLIPForImageClassification"]}}, "transformers"),
        ({"config.json": {"model_type": "vit"}, "model.onnx": "", "model.safetensors": ""}, "transformers"),
        ({"config.json": {"model_type": "vit"}, "model.onnx": ""}, "onnx"),
        ({"config.json": {"model_type": "vit"}, "openvino_model.xml": "", "openvino_model.bin": ""}, "openvino"),
        ({"config.json": {"architecture": "vit", "model_type": "timm_wrapper"}, "onnx/model.onnx": ""}, "onnx"),
        ({"config.json": {"model_type": "timm_wrapper", "architecture": "vit"}}, "timm"),
        ({"pytorch_model.pt": "", "configuration.json": {}}, "modelscope"),
        ({"model.onnx": ""}, "onnx"),
        ({"net.onnx": ""}, None),
        ({"saved_model.pb": "", "variables/variables.index": ""}, "tensorflow"),
    ],
)
def test_the_loader_with_the_lowest_precedence_detects_a_folder(
    tmp_path: Path, files: dict[str, object], loader: str | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    assert next(iter(detecting(tmp_path)), None) == loader


def test_a_damaged_configuration_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json: not valid JSON: .*; copy the file again"):
        detecting(tmp_path)


def test_loaders_are_selected_by_their_declarations() -> None:
    assert loaders_with(reads_texts=True) == ("zero_shot",)
    assert set(loaders_with(format=TORCH)) == LOADERS.keys() - {
        "openvino", "onnx", "tflite", "tensorflow", "paddle",
    }  # fmt: skip
    assert set(loaders_with(converted_to="openvino")) == {"tflite", "tensorflow", "paddle"}
    assert (format_of("onnx"), format_of("unheard-of")) == ("onnx", TORCH)
    assert (reads_texts("zero_shot"), reads_texts("timm"), reads_texts("unheard-of")) == (True, False, False)


def test_no_two_loaders_share_a_precedence() -> None:
    assert len({loader.precedence for loader in LOADERS.values()}) == len(LOADERS)

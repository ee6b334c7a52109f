"""Folders of exported networks with the JSON files that transformers, timm and optimum put beside them."""

import json
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from PIL import Image

from scripts.models.tools import add
from tests.folders import LABELS, SIZE
from tests.images import encoded
from tests.options import model_add
from worker.contract.toml_reader import ModelError
from worker.decode import Bounds
from worker.engines import load_engine
from worker.models import torchvision_ops
from worker.models.folder import read_folder, verify_files
from worker.models.loaders import describe

torchvision_ops.make_importable()
from transformers import (  # noqa: E402
    AutoImageProcessor,
    AutoModelForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

CLOSE = 2e-3  # of a score: the resampling of the worker rounds at other places
JSON_FILES = ("config.json", "preprocessor_config.json")


class Logits(torch.nn.Module):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.network = AutoModelForImageClassification.from_pretrained(path).eval()

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.network(pixel_values=pixel_values).logits


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier as transformers saves it, with weights."""
    path, names = tmp_path_factory.mktemp("library"), dict(enumerate(LABELS["en"]))
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=SIZE, patch_size=8,
        id2label=names, label2id={label: index for index, label in names.items()},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(path)
    ViTImageProcessor(size={"height": SIZE, "width": SIZE}, image_mean=[0.4] * 3).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def optimum(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same classifier as optimum exports it: an ONNX with all sides dynamic, an IR, and the JSON files."""
    path = tmp_path_factory.mktemp("optimum")
    for name in JSON_FILES:
        (path / name).write_text((library / name).read_text())
    torch.onnx.export(
        Logits(library), (torch.zeros(2, 3, SIZE, SIZE),), path / "model.onnx", dynamo=False, opset_version=14,
        input_names=["pixel_values"], output_names=["logits"],
        dynamic_axes={"pixel_values": {0: "batch", 1: "channels", 2: "height", 3: "width"}, "logits": {0: "batch"}},
    )  # fmt: skip
    ov.save_model(ov.Core().read_model(path / "model.onnx"), path / "openvino_model.xml", compress_to_fp16=True)
    return path


def folder_of(optimum: Path, path: Path, files: dict[str, str]) -> Path:
    """Return a copy of the JSON files and of each of `files`, by its name there."""
    for name, source in {**{name: name for name in JSON_FILES}, **files}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes((optimum / source).read_bytes())
    return path


IR = {"openvino_model.xml": "openvino_model.xml", "openvino_model.bin": "openvino_model.bin"}
LAYOUTS = {
    "onnx": ({"model.onnx": "model.onnx"}, "", "onnx", "model.onnx"),
    "openvino": (IR, "", "openvino", "openvino_model.xml"),
    "both": ({**IR, "model.onnx": "model.onnx"}, "", "openvino", "openvino_model.xml"),
    "below": ({"onnx/model.onnx": "model.onnx", "onnx/model_fp16.onnx": "model.onnx"}, "", "onnx", "model.onnx"),
    "quantised": ({"onnx/model_quantized.onnx": "model.onnx"}, "", "onnx", "model_quantized.onnx"),
    "named": ({"onnx/model.onnx": "model.onnx"}, "onnx/model.onnx", "onnx", "model.onnx"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_of_optimum_answers_as_the_library_does(
    name: str, optimum: Path, library: Path, tmp_path: Path
) -> None:
    files, source, loader, weights = LAYOUTS[name]
    path, out = folder_of(optimum, tmp_path / "optimum", files), tmp_path / "out"
    out.mkdir()
    add.add(out, model_add("--name", "small", "--source", str(path / source)))
    folder = read_folder(out)
    verify_files(folder)
    assert (folder.loader, folder.weights.name) == (loader, weights)
    config = AutoModelForImageClassification.from_pretrained(library).config
    assert folder.output.labels.names["en"] == tuple(config.id2label[index] for index in range(config.num_labels))
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8))
    runner = load_engine(folder, "auto", threads=1)
    logits = folder.input.logits(encoded(image, "PNG"), Bounds(), runner.infer)
    processed = AutoImageProcessor.from_pretrained(library)(image, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        expected = Logits(library)(processed).softmax(-1)[0].numpy()
    assert folder.output.scores(logits) == pytest.approx(expected, abs=CLOSE)


def test_weights_of_torch_come_before_the_export_beside_them(optimum: Path, library: Path, tmp_path: Path) -> None:
    path = folder_of(optimum, tmp_path / "both", {"model.onnx": "model.onnx"})
    (path / "model.safetensors").write_bytes((library / "model.safetensors").read_bytes())
    assert describe(path).loader == "transformers"


def changed(optimum: Path, path: Path, file: str, **values: object) -> Path:
    folder_of(optimum, path, {"model.onnx": "model.onnx"})
    content = json.loads((path / file).read_text())
    (path / file).write_text(json.dumps(content | values))
    return path


def test_several_labels_of_an_image_are_independent(optimum: Path, tmp_path: Path) -> None:
    path = changed(optimum, tmp_path / "m", "config.json", problem_type="multi_label_classification")
    assert describe(path).activation == "sigmoid"


def test_placeholders_are_no_labels(optimum: Path, tmp_path: Path) -> None:
    path = changed(optimum, tmp_path / "m", "config.json", id2label={"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"})
    assert describe(path).labels == {}


def test_labels_that_have_no_index_are_refused(optimum: Path, tmp_path: Path) -> None:
    path = changed(optimum, tmp_path / "m", "config.json", id2label={"cat": "0"})
    with pytest.raises(ModelError, match=r"config\.json: id2label needs a label for each class index: found"):
        describe(path)


def test_timms_settings_beside_an_export_are_read(optimum: Path, tmp_path: Path) -> None:
    path = tmp_path / "timm"
    path.mkdir()
    (path / "model.onnx").write_bytes((optimum / "model.onnx").read_bytes())
    pretrained = {
        "input_size": [3, SIZE, SIZE], "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "center",
        "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "num_classes": 3,
    }  # fmt: skip
    config = {
        "architecture": "test_vit",
        "num_classes": 3,
        "pretrained_cfg": pretrained,
        "label_names": ["a", "b", "c"],
    }
    (path / "config.json").write_text(json.dumps(config))
    found = describe(path)
    assert (found.loader, found.labels) == ("onnx", {"en": ("a", "b", "c")})
    assert (found.mean, found.std, found.geometry.interpolation) == ((0.5,) * 3, (0.25,) * 3, "bicubic")

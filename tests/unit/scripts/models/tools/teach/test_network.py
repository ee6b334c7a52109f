"""Graphs cut before their last layer, and with a new head there."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import torch

from scripts.models.tools.teach.head import Head
from scripts.models.tools.teach.network import cut, source_of, with_head
from tests.folders import SIZE, openvino_folder, small_network
from worker.contract.toml_reader import ModelError
from worker.models.folder import read_folder

WIDTH = 32  # of small_network's features


class Vit(torch.nn.Module):
    """What the end of a ViT is: tokens, a norm, the first of them, a head with its own scale; then a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = torch.nn.Conv2d(3, WIDTH, 8, 8), torch.nn.LayerNorm(WIDTH)
        self.head = torch.nn.Linear(WIDTH, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(pixels)).softmax(-1)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.norm(self.patches(pixels).flatten(2).transpose(1, 2))[:, 0]


class Squeeze(torch.nn.Module):
    """A network whose last layer is a convolution before the pooling, as in SqueezeNet."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = torch.nn.Conv2d(3, WIDTH, 3, 2), torch.nn.Conv2d(WIDTH, 3, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(pixels).relu()).relu().mean((2, 3))

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.body(pixels).relu().mean((2, 3))


class Flat(torch.nn.Module):
    """A network whose last layer takes every place of its features apart."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = torch.nn.Conv2d(3, 2, 8, 8), torch.nn.Linear(2 * 4 * 4, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(pixels))

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.body(pixels).flatten(1)


def run(network: ov.Model, pixels: torch.Tensor) -> np.ndarray:
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    return np.array(ov.Core().compile_model(network, "CPU", options)(pixels.numpy())[0])


def folder_of(path: Path, network: torch.nn.Module, precision: str = "f32") -> Any:
    openvino_folder(path, network=network, precision=precision)
    return read_folder(path)


@pytest.mark.parametrize("kind", [Vit, Squeeze, Flat])
def test_the_features_are_what_the_last_layer_takes(tmp_path: Path, kind: type[Any]) -> None:
    torch.manual_seed(1)
    network = kind().eval()
    pixels = torch.rand(1, 3, SIZE, SIZE)
    folder = folder_of(tmp_path / "base", network)
    assert source_of(folder) == (folder.weights, "f32")
    with torch.no_grad():
        expected = network.features(pixels).numpy()
    assert run(cut(folder, folder.weights), pixels) == pytest.approx(expected, abs=1e-4)


def test_an_int8_body_keeps_its_precision_and_gives_exact_features(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "base", small_network(), "int8")
    path, precision = source_of(folder)
    features = cut(folder, path)
    assert precision == "int8"
    last = features.get_results()[0].input_value(0).get_node()
    while last.get_type_name() in ("Convert", "Reshape"):
        last = last.input_value(0).get_node()
    assert last.get_type_name() == "ReduceMean"
    assert any(operation.get_type_name() == "FakeQuantize" for operation in features.get_ops())
    assert run(features, torch.rand(1, 3, SIZE, SIZE)).shape == (1, WIDTH)


def test_a_network_with_a_head_answers_as_the_head_does(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "base", small_network())
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, WIDTH)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    weights, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((5, WIDTH), 5))
    features = cut(folder, folder.weights)
    values = run(features, pixels := torch.rand(1, 3, SIZE, SIZE))
    for reach in (0.01, 0.5, 2):
        head = Head(weights, bias, centres, reach)
        logits = run(with_head(cut(folder, folder.weights), head), pixels)
        assert logits == pytest.approx(head.logits(values), abs=1e-4)


def test_a_network_without_weights_is_refused(tmp_path: Path) -> None:
    openvino_folder(tmp_path / "base")
    folder = read_folder(tmp_path / "base")
    with pytest.raises(ModelError, match="found no last layer with weights, needed a classifier: choose another BASE="):
        cut(folder, folder.weights)

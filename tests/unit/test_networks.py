"""The loaders: real folders load, damaged ones are refused with what is wrong."""

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import folders
from worker.models.fields import ModelError
from worker.models.folder import ModelFolder, read_folder
from worker.models.networks import load_network


@pytest.fixture(scope="module")
def torchvision(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return read_folder(folders.torchvision_folder(tmp_path_factory.mktemp("torchvision") / "m"))


@pytest.fixture
def transformers(tmp_path: Path) -> ModelFolder:
    return read_folder(folders.transformers_folder(tmp_path / "m"))


def refusal(folder: ModelFolder) -> str:
    with pytest.raises(ModelError) as caught:
        load_network(folder)
    return str(caught.value).replace(str(folder.path), "F")


def with_weights(folder: ModelFolder, path: Path, content: object) -> ModelFolder:
    torch.save(content, path)
    return dataclasses.replace(folder, path=path.parent, weights=path)


def test_a_torchvision_folder_has_the_weights_of_its_file(torchvision: ModelFolder) -> None:
    network = load_network(torchvision)
    saved = torch.load(torchvision.weights, weights_only=True)
    assert not network.training
    assert all(torch.equal(value, saved[name]) for name, value in network.state_dict().items())


def test_a_transformers_folder_gives_logits_alone(transformers: ModelFolder) -> None:
    network = load_network(transformers)
    saved = load_file(transformers.path / "model.safetensors")
    assert not network.training
    assert torch.equal(network.state_dict()["classifier.classifier.weight"], saved["classifier.weight"])
    assert network(torch.zeros(2, 3, folders.SIZE, folders.SIZE)).shape == (2, 3)


def test_an_architecture_torchvision_does_not_have_is_refused(torchvision: ModelFolder) -> None:
    unknown = dataclasses.replace(torchvision, architecture="resnet19")
    assert refusal(unknown) == "F: torchvision has no architecture 'resnet19'"


def test_weights_of_another_architecture_are_refused(torchvision: ModelFolder) -> None:
    other = dataclasses.replace(torchvision, architecture="resnet18")
    assert refusal(other).startswith("F/weights.pth: does not fit resnet18: ")


def test_weights_for_another_number_of_classes_are_refused(torchvision: ModelFolder, tmp_path: Path) -> None:
    state = torch.load(torchvision.weights, weights_only=True)
    state["classifier.3.bias"] = torch.zeros(5)
    folder = with_weights(torchvision, tmp_path / "w.pth", state)
    assert "size mismatch for classifier.3.bias" in refusal(folder)


def test_a_file_that_runs_code_when_loaded_is_refused(torchvision: ModelFolder, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(pickle.dumps(print))
    folder = dataclasses.replace(torchvision, path=tmp_path, weights=tmp_path / "w.pth")
    assert refusal(folder).startswith("F/w.pth: not a state dict that can be loaded safely: ")


def test_a_damaged_file_is_refused(torchvision: ModelFolder, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(torchvision.weights.read_bytes()[:5000])
    folder = dataclasses.replace(torchvision, path=tmp_path, weights=tmp_path / "w.pth")
    assert refusal(folder).startswith("F/w.pth: not a state dict that can be loaded safely: ")


def test_a_file_that_holds_something_else_is_refused(torchvision: ModelFolder, tmp_path: Path) -> None:
    folder = with_weights(torchvision, tmp_path / "w.pth", torch.zeros(3))
    assert refusal(folder) == "F/w.pth: found a Tensor, needed a state dict"


def test_a_transformers_folder_with_a_weight_missing_is_refused(transformers: ModelFolder) -> None:
    file = transformers.path / "model.safetensors"
    state = load_file(file)
    del state["classifier.bias"]
    save_file(state, file, metadata={"format": "pt"})
    assert refusal(transformers) == "F: weights missing or of another shape: classifier.bias"


def test_a_transformers_folder_with_a_weight_of_another_shape_is_refused(transformers: ModelFolder) -> None:
    file = transformers.path / "model.safetensors"
    save_file(load_file(file) | {"classifier.bias": torch.zeros(9)}, file, metadata={"format": "pt"})
    assert refusal(transformers) == "F: weights missing or of another shape: classifier.bias"


def test_a_transformers_folder_without_a_model_type_is_refused(transformers: ModelFolder) -> None:
    config = transformers.path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "", "architectures": []}))
    assert refusal(transformers).startswith("F: not a folder that transformers can load: ")

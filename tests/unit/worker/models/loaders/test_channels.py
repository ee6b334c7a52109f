"""Networks for other numbers of channels: made so by their users, or fitted from the three they were made for."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import folders
from tests.graphs import OnnxSpec, write_onnx
from worker.contract.loaders import loaders_with
from worker.contract.toml_reader import ModelError
from worker.decode import Pixels
from worker.models import torchvision_ops
from worker.models.folder import ModelFolder, read_folder
from worker.models.input import Input
from worker.models.loaders import Description, channels, describe, load_network

torchvision_ops.make_importable()
import timm  # noqa: E402
from timm.models import save_for_hf  # noqa: E402
from torchvision.models import get_model  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForImageClassification,
    PretrainedConfig,
    ResNetConfig,
    SwinConfig,
    ViTConfig,
    ViTImageProcessor,
)

TOLERANCE = 1e-4
SIDE = folders.SIZE
TINY: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "image_size": SIDE,
    "patch_size": 8,
}  # fmt: skip
SMALL: dict[str, PretrainedConfig] = {
    "vit": ViTConfig(**TINY),
    "resnet": ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1]),
    "swin": SwinConfig(image_size=SIDE, patch_size=4, embed_dim=8, depths=[1], num_heads=[2], window_size=4),
}


@pytest.fixture(scope="module")
def any_folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return read_folder(folders.torchvision_folder(tmp_path_factory.mktemp("any") / "m"))


def build_folder(path: Path, kind: str) -> ModelFolder:
    """A folder of a network for RGB: of torchvision, of timm, or of transformers."""
    library, _, name = kind.partition(":")
    if library == "torchvision":
        return read_folder(folders.torchvision_folder(path, name))
    if library == "checkpoint":
        return read_folder(folders.checkpoint_folder(path, name))
    if library == "timm":
        return read_folder(folders.timm_folder(path, name))
    torch.manual_seed(0)
    SMALL[name].num_labels = 3
    network = AutoModelForImageClassification.from_config(SMALL[name]).eval()
    network.save_pretrained(path)
    answers = lambda pixels: network(pixel_values=pixels).logits  # noqa: E731
    return read_folder(folders.finish(path, answers, loader="transformers", weights="."))


def with_channels(folder: ModelFolder, count: int) -> ModelFolder:
    model_input = Input(folder.input.geometry, (0.5,) * count, (0.5,) * count, Pixels(count))
    return dataclasses.replace(folder, input=model_input)


def fitted(folder: ModelFolder, count: int) -> torch.nn.Module:
    """Its network for `count` channels, as model.toml asks for it."""
    return load_network(with_channels(folder, count))


def answers(network: torch.nn.Module, pixels: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        found: np.ndarray = network(pixels).numpy()
    return found


KINDS = [
    "torchvision:mobilenet_v3_small", "timm:test_vit", "checkpoint:timm:test_resnet", "transformers:vit",
    "transformers:resnet", "transformers:swin",
]  # fmt: skip


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    """Random networks give small numbers: what tells two images apart must be far larger than the difference."""
    assert np.abs(found - expected).max() < min(TOLERANCE, np.ptp(expected, axis=0).max() / 100)


@pytest.mark.parametrize("kind", KINDS)
def test_a_grey_image_gives_the_answer_of_three_equal_channels(tmp_path: Path, kind: str) -> None:
    folder = build_folder(tmp_path / "m", kind)
    grey = torch.rand(2, 1, SIDE, SIDE) * 4 - 2
    expected = answers(load_network(folder), grey.expand(-1, 3, -1, -1))
    assert_close(answers(fitted(folder, 1), grey), expected)


@pytest.mark.parametrize("kind", ["torchvision:mobilenet_v3_small", "timm:test_vit", "transformers:swin"])
@pytest.mark.parametrize("count", [2, 4, 6, 7])
def test_more_channels_repeat_the_weights_of_three(tmp_path: Path, kind: str, count: int) -> None:
    folder = build_folder(tmp_path / "m", kind)
    bands = torch.rand(2, count, SIDE, SIDE)
    mixed = torch.stack([bands[:, start::3].sum(1) * 3 / count for start in range(3)], dim=1)
    assert_close(answers(fitted(folder, count), bands), answers(load_network(folder), mixed))


class TwoBranches(torch.nn.Module):
    """A network whose image goes into two convolutions, as those of crossvit and repvgg do."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(3, 4, 5, padding=1)
        self.later = torch.nn.Conv2d(4, 3, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.later(self.fine(pixels) + self.coarse(pixels)).mean(dim=(2, 3))


def test_all_branches_that_take_the_image_are_adapted(any_folder: ModelFolder) -> None:
    torch.manual_seed(0)
    network, grey = TwoBranches().eval(), torch.rand(2, 1, SIDE, SIDE)
    expected = answers(network, grey.expand(-1, 3, -1, -1))
    channels.fit(network, with_channels(any_folder, 1))
    assert_close(answers(network, grey), expected)
    assert network.later.in_channels == 4


@pytest.mark.parametrize("layer", [timm.layers.StdConv2d, timm.layers.ScaledStdConv2d])
def test_a_layer_that_transforms_its_weights_is_not_adapted(
    any_folder: ModelFolder, layer: type[torch.nn.Conv2d]
) -> None:
    """Such as the first of resnetv2_50x1_bit and of eca_nfnet_l0."""
    network = torch.nn.Sequential(layer(3, 3, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    with pytest.raises(ModelError) as caught:
        channels.fit(network, with_channels(any_folder, 1))
    assert str(caught.value) == (
        f"{any_folder.path}: its first convolution ({layer.__name__}) cannot be adapted to 1 channels; "
        "set [input] channels to what it takes, and send it such images"
    )


# Made for other channels by their users


def assert_read_and_loaded(
    found: Description, path: Path, network: Callable[[torch.Tensor], torch.Tensor], count: int, like: ModelFolder
) -> None:
    """What was `found` at `path` has `count` channels, and gives with them what `network` gives."""
    assert (len(found.mean), len(found.std)) == (count, count)
    folder = dataclasses.replace(
        like, path=path, input=Input(found.geometry, found.mean, found.std, Pixels(count)), loader=found.loader,
        architecture=found.architecture, weights=path / found.weights,
    )  # fmt: skip
    pixels = torch.rand(2, count, SIDE, SIDE)
    with torch.inference_mode():
        assert (load_network(folder)(pixels) - network(pixels)).abs().max() < TOLERANCE


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("loader", ["torchvision", "checkpoint"])
def test_a_state_dict_gives_its_number_of_channels(
    tmp_path: Path, any_folder: ModelFolder, loader: str, count: int
) -> None:
    torch.manual_seed(0)
    network = get_model("mobilenet_v3_small", weights=None, num_classes=3)
    network.features[0][0] = torch.nn.Conv2d(count, 16, 3, stride=2, padding=1, bias=False)
    torch.save(network.eval().state_dict(), tmp_path / "w.pth")
    found = describe(tmp_path / "w.pth", loader, "mobilenet_v3_small")
    assert_read_and_loaded(found, tmp_path, network, count, any_folder)


@pytest.mark.parametrize("count", [1, 4])
def test_a_timm_folder_gives_its_number_of_channels(tmp_path: Path, any_folder: ModelFolder, count: int) -> None:
    network = timm.create_model("test_vit", num_classes=3, img_size=SIDE, in_chans=count).eval()
    arguments = {"img_size": SIDE, "in_chans": count}
    save_for_hf(network, tmp_path, model_config={"label_names": ["a", "b", "c"]}, model_args=arguments)
    assert_read_and_loaded(describe(tmp_path), tmp_path, network, count, any_folder)


@pytest.mark.parametrize("count", [1, 4])
def test_a_transformers_folder_gives_its_number_of_channels(
    tmp_path: Path, any_folder: ModelFolder, count: int
) -> None:
    network = AutoModelForImageClassification.from_config(ViTConfig(**TINY, num_channels=count, num_labels=3)).eval()
    network.save_pretrained(tmp_path)
    normal = {"image_mean": [0.5] * count, "image_std": [0.5] * count}
    ViTImageProcessor(size={"height": SIDE, "width": SIDE}, **normal).save_pretrained(tmp_path)
    logits = lambda pixels: network(pixel_values=pixels).logits  # noqa: E731
    assert_read_and_loaded(describe(tmp_path), tmp_path, logits, count, any_folder)


@pytest.mark.parametrize("loader", ["onnx", "pt2", "openvino"])
def test_an_exported_network_gives_its_number_of_channels(tmp_path: Path, loader: str) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(4, 3, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    example = (torch.zeros(1, 4, SIDE, SIDE),)
    if loader == "onnx":
        path = write_onnx(tmp_path / "m.onnx", OnnxSpec((1, 4, SIDE, SIDE)))
    elif loader == "pt2":
        path = tmp_path / "m.pt2"
        torch.export.save(torch.export.export(network, example), path)
    else:
        import openvino as ov

        path = tmp_path / "m.xml"
        ov.save_model(ov.convert_model(network, example_input=example, input=[1, 4, SIDE, SIDE]), path)
    found = describe(path)
    assert (found.loader, found.geometry.size) == (loader, (SIDE, SIDE))
    assert found.mean == (0.485, 0.456, 0.406, 0.485)
    with pytest.raises(ModelError) as caught:
        channels.adapt_description(found, 1)
    assert str(caught.value) == (
        f"CHANNELS: found 1, but networks of loader {loader} always take 4; "
        f"{', '.join(loaders_with(can_refit=True))} can be adapted"
    )

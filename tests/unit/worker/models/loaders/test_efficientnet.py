"""Checkpoints with the names of efficientnet_pytorch and its lite fork: recognised, renamed, and the same network."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from scripts.models.tools import add
from tests import folders
from tests.efficientnet import efficientnet_pytorch_state, network_of
from tests.options import model_add
from tests.unit.worker.models.loaders.model_errors import model_error
from worker.decode import Geometry
from worker.models import torchvision_ops
from worker.models.folder import ModelFolder, read_folder
from worker.models.loaders import describe, imagenet_labels, load_network
from worker.models.loaders.efficientnet import VARIANTS, to_timm

torchvision_ops.make_importable()
import timm as timm_library  # noqa: E402
from timm.models import get_pretrained_cfg  # noqa: E402

from worker.models.loaders import timm  # noqa: E402

State = Mapping[str, torch.Tensor]

# What efficientnet_pytorch and efficientnet_lite_pytorch say of image sizes.
SIZES = {
    "b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380, "b5": 456, "b6": 528, "b7": 600, "b8": 672,
    "lite0": 224, "lite1": 240, "lite2": 260, "lite3": 280, "lite4": 300,
}  # fmt: skip
IMAGENET, HALF = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
TOLERANCE = 1e-5
ANY_PATH = Path("w.pth")
OWN_CODE = """
import torch

def build(classes):
    return torch.nn.ModuleDict({"_conv_stem": torch.nn.Conv2d(3, 3, 1), "_fc": torch.nn.Linear(3, classes)})
"""


@pytest.fixture(scope="module")
def b0(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine-tuned efficientnet-b0 of five classes, as a training script saves it."""
    path = tmp_path_factory.mktemp("b0") / "best.pth.tar"
    state = {f"module.{key}": value for key, value in efficientnet_pytorch_state(network_of("b0", classes=5)).items()}
    torch.save({"epoch": 3, "arch": "efficientnet-b0", "state_dict": state}, path)
    return path


def added(source: Path, out: Path, *arguments: str) -> ModelFolder:
    out.mkdir()
    assert add.main(out, model_add("--source", source, "--name", "m", *arguments)) == 0
    return read_folder(out)


def assert_answers_as(network: torch.nn.Module, folder: ModelFolder) -> None:
    found, noise = load_network(folder), torch.randn(1, 3, 64, 64)  # its layers take images of every size
    pixels = torch.cat([noise, torch.zeros_like(noise)])
    for key, value in network.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key
    with torch.inference_mode():
        expected = network(pixels)
        assert (expected[0] - expected[1]).abs().max() > 100 * TOLERANCE  # the images can be told apart
        assert (found(pixels) - expected).abs().max() < TOLERANCE


def test_every_variant_is_tested() -> None:
    assert sorted(VARIANTS.values()) == sorted(SIZES)


@pytest.mark.parametrize("variant", SIZES)
def test_each_variant_is_detected_and_all_weights_get_timms_names(variant: str) -> None:
    with torch.device("meta"):
        network = timm_library.create_model(f"tf_efficientnet_{variant}", num_classes=7)
    state = efficientnet_pytorch_state(network)
    architecture, weights, overrides = to_timm("", state, ANY_PATH)
    assert architecture == f"tf_efficientnet_{variant}"
    assert {key: value.shape for key, value in weights.items()} == {
        key: value.shape for key, value in network.state_dict().items()
    }
    assert [id(value) for value in weights.values()] == [id(value) for value in state.values()]
    settings = {**get_pretrained_cfg(architecture).to_dict(), **overrides}
    assert timm.preprocessing(settings, ANY_PATH)[0].size == (SIZES[variant], SIZES[variant])


def test_an_imagenet_checkpoint_is_added_without_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = network_of("lite0")
    torch.save(efficientnet_pytorch_state(network), tmp_path / "efficientnet-lite0.pth")
    folder = added(tmp_path / "efficientnet-lite0.pth", tmp_path / "m")
    assert (folder.loader, folder.architecture) == ("checkpoint", "timm:tf_efficientnet_lite0")
    assert folder.input.geometry == Geometry((224, 224), 256, "bicubic")
    assert (folder.input.mean, folder.input.std) == HALF
    assert folder.output.labels.names["en"] == imagenet_labels.of_classes(1000)["en"]
    assert "   architecture timm:tf_efficientnet_lite0" in capsys.readouterr().out.splitlines()
    assert_answers_as(network, folder)


def test_a_fine_tuned_checkpoint_is_added_from_under_its_wrapper_and_prefix(b0: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog\ntea\ncup\npot\n")
    folder = added(b0, tmp_path / "m", "--labels", f"en:{tmp_path / 'labels.txt'}")
    assert (folder.loader, folder.architecture) == ("checkpoint", "timm:tf_efficientnet_b0")
    assert folder.input.geometry == Geometry((224, 224), 256, "bicubic")
    assert (folder.input.mean, folder.input.std) == IMAGENET
    assert_answers_as(network_of("b0", classes=5), folder)


@pytest.mark.parametrize("loader", ["checkpoint", "timm"])
@pytest.mark.parametrize(
    "architecture", ["", "efficientnet_b0", "efficientnet-b0", "tf_efficientnet_b0", "tf_efficientnet_b0.ap_in1k"]
)
def test_every_spelling_selects_the_architecture_with_tensorflows_padding(
    b0: Path, loader: str, architecture: str
) -> None:
    _, dot, tag = architecture.partition(".")
    prefix = {"checkpoint": "timm:", "timm": ""}[loader]
    assert describe(b0, loader, architecture).architecture == f"{prefix}tf_efficientnet_b0{dot}{tag}"


def test_an_architecture_with_the_librarys_name_gets_tensorflows_padding(b0: Path) -> None:
    assert describe(b0, "checkpoint", "timm:efficientnet_b0").architecture == "timm:tf_efficientnet_b0"


def test_one_channel_is_detected_from_the_weights(tmp_path: Path) -> None:
    torch.save(efficientnet_pytorch_state(network_of("lite0", channels=1)), tmp_path / "w.pth")
    assert (describe(tmp_path / "w.pth").mean, describe(tmp_path / "w.pth").std) == ((0.5,), (0.5,))


def test_weights_trained_with_advprop_have_another_mean_and_std(b0: Path, tmp_path: Path) -> None:
    weights = describe(Path(shutil.copy(b0, tmp_path / "adv-efficientnet-b0.pth")))
    assert (weights.architecture, weights.mean, weights.std) == ("timm:tf_efficientnet_b0", *HALF)


def error_text(state: State, path: Path, architecture: str = "") -> str:
    torch.save(state, path / "w.pth")
    return model_error(path, lambda: describe(path / "w.pth", None, architecture))


@pytest.mark.parametrize("architecture", ["efficientnet_b1", "efficientnet-lite0", "tf_efficientnet_b0_ap", "resnet18"])
def test_weights_of_another_variant_than_the_one_named_are_refused(b0: Path, tmp_path: Path, architecture: str) -> None:
    assert model_error(b0.parent, lambda: describe(b0, None, architecture)) == (
        f"F/best.pth.tar: found the weights of efficientnet-b0, needed those of {architecture}: "
        "correct the architecture, or leave it out"
    )


REMEDY = "for a network of your own, put a network.py next to the weights"


def test_layers_that_the_library_does_not_have_are_refused(tmp_path: Path) -> None:
    state = efficientnet_pytorch_state(network_of("lite0", classes=3))
    head = {"_fc.3.weight": state.pop("_fc.weight"), "_fc.3.bias": state.pop("_fc.bias")}
    clashing = {"classifier.bias": torch.zeros(3), "temperature": torch.zeros(1)}
    assert error_text(state | head, tmp_path) == (
        "F/w.pth: found _fc.3.weight, _fc.3.bias, needed only the layers of efficientnet_pytorch: " + REMEDY
    )
    assert error_text(state | clashing, tmp_path) == (
        "F/w.pth: found classifier.bias, temperature, needed only the layers of efficientnet_pytorch: " + REMEDY
    )
    assert error_text(state, tmp_path) == (
        "F/w.pth: does not fit tf_efficientnet_lite0: missing: classifier.weight, classifier.bias; "
        "its last layer classifier.weight, classifier.bias is not in the file: needed the weights of a whole classifier"
    )


def test_networks_of_unknown_variants_are_refused(tmp_path: Path) -> None:
    state = efficientnet_pytorch_state(network_of("lite0", classes=3))
    needed = f"needed one of {', '.join(SIZES)}: {REMEDY}"
    short = {key: value for key, value in state.items() if not key.startswith("_blocks.15.")}
    assert error_text(short, tmp_path) == (
        "F/w.pth: found the names of efficientnet_pytorch, but 15 blocks, the last 192 wide, without "
        f"squeeze-and-excitation; {needed}"
    )
    scalar = state | {"_blocks.15._project_conv.weight": torch.tensor(1.0)}
    assert "but 16 blocks, the last 0 wide, without" in error_text(scalar, tmp_path)
    assert "but 0 blocks, the last 0 wide, without" in error_text({"_conv_stem.weight": torch.zeros(1)}, tmp_path)


def test_a_users_own_network_keeps_its_names(tmp_path: Path) -> None:
    network = torch.nn.ModuleDict({"_conv_stem": torch.nn.Conv2d(3, 3, 1), "_fc": torch.nn.Linear(3, 3)})
    path = folders.code_folder(tmp_path / "m", trusted=True)
    torch.save(network.state_dict(), path / "own.pth")
    (path / "network.py").write_text(OWN_CODE)
    assert describe(path).architecture == ""
    assert torch.equal(load_network(read_folder(path)).state_dict()["_fc.bias"], network["_fc"].bias)

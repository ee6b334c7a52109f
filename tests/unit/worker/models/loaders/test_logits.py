"""For every loader: its network, through the engine, gives the logits of its library's own few lines."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import folders
from tests.unit.worker.engines.test_engines import PIXELS, infer, plain_torch
from worker.contract.loaders import loaders_with
from worker.engines import load_engine
from worker.models import torchvision_ops
from worker.models.folder import read_folder, verify_files

torchvision_ops.make_importable()
import timm  # noqa: E402
from torchvision.models import get_model  # noqa: E402
from transformers import AutoModelForImageClassification  # noqa: E402

Network = Callable[[torch.Tensor], torch.Tensor]
FURTHEST = 1e-4


def torchvisions(path: Path) -> Network:
    network = get_model("resnet18", num_classes=3)
    network.load_state_dict(torch.load(path / "weights.pth"))
    return network.eval()


def transformers(path: Path) -> Network:
    network = AutoModelForImageClassification.from_pretrained(path).eval()
    return lambda pixels: network(pixel_values=pixels).logits


def timms(path: Path) -> Network:
    return timm.create_model(f"local-dir:{path}", pretrained=True, num_classes=3).eval()


def resnest(path: Path) -> Network:
    """The file's own prefix and wrapper taken off; timm reads the rest as it is."""
    network = timm.create_model(folders.RESNEST, num_classes=3)
    state = torch.load(path / "pytorch_model.pt")["state_dict"]
    network.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    return network.eval()


def openmmlab(path: Path) -> Network:
    """The ViT whose weights the folder has under OpenMMLab's names."""
    torch.manual_seed(0)
    return timm.create_model(folders.VIT, num_classes=3, img_size=folders.SIZE).eval()


def trained(path: Path) -> Network:
    state = torch.load(path / "last.th", weights_only=False)["model"]
    network = timm.create_model("test_resnet", num_classes=3)
    network.load_state_dict({key.removeprefix("_orig_mod.module."): value for key, value in state.items()})
    return network.eval()


MADE: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Network]]] = {
    "torchvision": (lambda path: folders.torchvision_folder(path, "resnet18"), torchvisions),
    "transformers": (folders.transformers_folder, transformers),
    "timm": (folders.timm_folder, timms),
    "modelscope-resnest": (folders.resnest_folder, resnest),
    "modelscope-vit": (folders.openmmlab_folder, openmmlab),
    "checkpoint": (folders.checkpoint_folder, trained),
    "checkpoint-own": (lambda path: folders.code_folder(path, trusted=True), lambda _: folders.user_network()),
    "pt2": (folders.pt2_folder, lambda path: torch.export.load(path / "m.pt2").module()),
    "onnx": (folders.onnx_folder, lambda _: folders.small_network()),
    "openvino": (
        lambda path: folders.openvino_folder(path, network=folders.small_network()),
        lambda _: folders.small_network(),
    ),
}


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_every_loader_is_tested_here_or_in_its_own_file() -> None:
    elsewhere = {"zero_shot": "test_zero_shot.py"}
    served = set(loaders_with(converted_to=""))  # test_exporters.py tests the others
    assert {name.partition("-")[0] for name in MADE} | elsewhere.keys() == served
    assert all(Path(__file__).with_name(file).is_file() for file in elsewhere.values())


@pytest.mark.parametrize("name", MADE)
def test_the_logits_are_the_librarys(name: str, tmp_path: Path) -> None:
    make, library = MADE[name]
    folder = read_folder(make(tmp_path / "m"))
    verify_files(folder)
    expected = plain_torch(library(folder.path), PIXELS[:4])
    found = infer(folder, PIXELS[:4])
    assert np.ptp(expected) > 100 * FURTHEST  # the images can be told apart
    assert np.abs(found - expected).max() < FURTHEST
    batch = load_engine(folder, "auto", threads=1).infer(PIXELS[:4])
    assert np.abs(batch - expected).max() < FURTHEST

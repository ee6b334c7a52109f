"""Small networks converted and quantised: the other engines answer as torch does."""

import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.models.tools.prepare import networks
from scripts.models.tools.prepare.benchmark import Candidate, ModelUnderTest, open_candidate
from scripts.models.tools.prepare.converters.samples import normalised
from scripts.models.tools.prepare.isolated import Placement, ProcessFailed
from tests.folders import SIZE, code_folder, onnx_folder, openvino_folder, small_network, timm_folder
from worker.models.folder import read_folder
from worker.models.loaders import load_network

Capture = pytest.CaptureFixture[str]
CLOSE = 1e-4  # of a logit, in f32
NAMES = ["openvino-f32", "onnxruntime-f32", "openvino-int8", "onnxruntime-int8"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty plain images with some texture."""
    rng = np.random.default_rng(1)
    plain = rng.integers(20, 235, (20, 1, 1, 3)) + rng.integers(-20, 20, (20, SIZE, SIZE, 3))
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, plain.astype(np.uint8))
    return path


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convert in this process: each of up to four others would import the same libraries for seconds."""

    def run(placement: Placement, timeout_s: float, function: Callable[..., object], *arguments: object) -> object:
        try:
            return function(*arguments)
        except Exception as error:
            raise ProcessFailed(" ".join(str(error).split())) from error

    monkeypatch.setattr(networks, "run_isolated", run)


def logits(folder: Path, prepared: dict[str, str], engine: str, precision: str, images: np.ndarray) -> np.ndarray:
    """Return the logits of all images in one batch."""
    model, candidate = ModelUnderTest(folder, prepared, folder), Candidate(engine, precision, "")
    return open_candidate(model, candidate, (1, len(images)), 1)[1].infer(images)


def by_torch(folder: Path, images: np.ndarray) -> np.ndarray:
    read = read_folder(folder)
    with torch.inference_mode():
        values = np.concatenate(list(normalised(images, read.input)))
        found: np.ndarray = load_network(read)(torch.from_numpy(values)).numpy()
    return found


RESIDUAL = """
import torch

class Residual(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, 2), torch.nn.BatchNorm2d(16), torch.nn.ReLU())
        self.block = torch.nn.Sequential(torch.nn.Conv2d(16, 16, 3, padding=1), torch.nn.BatchNorm2d(16))
        self.head = torch.nn.Linear(16, classes)

    def forward(self, pixels):
        found = self.stem(pixels)
        return self.head((found + self.block(found)).relu().mean(dim=(2, 3)))

def build(classes):
    torch.manual_seed(0)
    return Residual(classes)
"""


def residual_folder(path: Path) -> Path:
    """Make a folder of a user's own convolutional network."""
    folder = code_folder(path, trusted=True)
    (folder / "network.py").write_text(RESIDUAL)
    network = runpy.run_path(str(folder / "network.py"))["build"](3)
    torch.save(network.state_dict(), folder / "own.pth")
    return folder


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("make", [timm_folder, residual_folder])
def test_a_convolutional_network_and_a_vit_answer_alike_in_every_engine(
    make: Callable[[Path], Path], tmp_path: Path, images: Path
) -> None:
    folder = make(tmp_path / "model")
    prepared = networks.add_missing(read_folder(folder), {}, False, images)
    assert list(prepared) == NAMES
    some = np.load(images)[:8]
    wanted = by_torch(folder, some)
    for engine in ("openvino", "onnxruntime"):
        assert np.abs(logits(folder, prepared, engine, "f32", some) - wanted).max() < CLOSE
        int8 = logits(folder, prepared, engine, "int8", some)
        assert 0 < np.abs(int8 - wanted).max() < 0.2 * np.ptp(wanted) + 0.05
    assert {path.name for path in networks.files(folder)} == {
        "f32.xml", "f32.bin", "f32.onnx", "int8.xml", "int8.bin", "int8.onnx",
    }  # fmt: skip


def test_existing_networks_are_not_made_again(tmp_path: Path, images: Path, capsys: Capture) -> None:
    folder = code_folder(tmp_path / "own", trusted=True)
    existing = dict.fromkeys(NAMES[:3], "prepared/other")
    assert networks.add_missing(read_folder(folder), existing, False, images) == dict.fromkeys(
        NAMES[:3], "prepared/other"
    )
    assert "onnxruntime-int8 is left out: it cannot be made: " in capsys.readouterr().err


@pytest.mark.usefixtures("in_this_process")
def test_only_int8_is_made_from_a_prepared_network(tmp_path: Path, images: Path) -> None:
    folder, some = onnx_folder(tmp_path / "onnx"), np.load(images)[:4]
    prepared = networks.add_missing(read_folder(folder), {}, False, images)
    assert list(prepared) == ["openvino-int8", "onnxruntime-int8"]
    values = np.concatenate(list(normalised(some, read_folder(folder).input)))
    wanted = small_network()(torch.from_numpy(values)).detach().numpy()
    for engine in ("openvino", "onnxruntime"):
        assert np.abs(logits(folder, prepared, engine, "f32", some) - wanted).max() < CLOSE
        assert 0 < np.abs(logits(folder, prepared, engine, "int8", some) - wanted).max() < 0.2 * np.ptp(wanted)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_a_network_that_is_int8_already_is_detected(precision: str, tmp_path: Path, images: Path) -> None:
    folder = read_folder(openvino_folder(tmp_path / "bright", precision=precision))
    quantised = networks.holds_int8(folder)
    assert quantised is (precision == "int8")
    assert list(networks.add_missing(folder, {}, quantised, images)) == ([] if quantised else ["openvino-int8"])


UNKNOWN_OPERATOR = """
import torch

class Odd(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = torch.nn.Linear(3, classes)

    def forward(self, pixels):
        return self.head(torch.special.airy_ai(pixels.mean(dim=(2, 3))))

def build(classes):
    return Odd(classes)
"""


@pytest.mark.usefixtures("in_this_process")
def test_engines_without_an_operator_are_left_out_with_one_line_each(
    tmp_path: Path, images: Path, capsys: Capture
) -> None:
    folder = code_folder(tmp_path / "own", trusted=True)
    (folder / "network.py").write_text(UNKNOWN_OPERATOR)
    torch.save({"head.weight": torch.eye(3), "head.bias": torch.zeros(3)}, folder / "own.pth")
    assert networks.add_missing(read_folder(folder), {}, False, images) == {}
    warnings = capsys.readouterr().err.splitlines()
    assert [line.split(": ", 2)[:2] for line in warnings] == [
        [f"!! {name} is left out", "it cannot be made"] for name in NAMES[:2]
    ]
    assert all(line.split(": ", 2)[2] for line in warnings)
    assert networks.files(folder) == []


def test_unreadable_weights_are_reported(tmp_path: Path) -> None:
    folder = openvino_folder(tmp_path / "bright")
    (folder / "model.xml").write_text("<net/>")
    with pytest.raises(Exception, match=r"model\.xml: cannot be read: .*model\.xml: not a network that OpenVINO can"):
        networks.holds_int8(read_folder(folder))

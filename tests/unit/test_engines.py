"""The engines' numbers against the libraries' own few lines, on real small networks."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import folders
from worker.engines import load_engine
from worker.labels import activate
from worker.models.fields import ModelError
from worker.models.folder import ModelFolder, read_folder
from worker.models.golden import TOLERANCE
from worker.models.loaders import load_network

COLOURS = [(200, 60, 60), (60, 200, 60), (60, 60, 200), (200, 200, 40), (20, 20, 20), (240, 240, 240), (90, 10, 130)]
PIXELS = np.stack([np.asarray(folders.picture(colour, (folders.SIZE, folders.SIZE))) for colour in COLOURS])
# What each precision may move a logit by; the logits of these pictures span more than 3.
MOVES = {"f32": 1e-4, "bf16": 0.05, "int8": 0.1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("folders")
    for precision in MOVES:
        folders.openvino_folder(home / precision, precision=precision, network=folders.small_network())
    folders.torchvision_folder(home / "torchvision")
    folders.transformers_folder(home / "transformers")
    threads = torch.get_num_threads()
    yield home
    torch.set_num_threads(threads)


def plain_torch(network: torch.nn.Module, pixels: np.ndarray) -> np.ndarray:
    """The logits of `pixels`, uint8 [N, H, W, 3], as a torch tutorial computes them."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (folders.MEAN, folders.STD))
    with torch.inference_mode():
        found: np.ndarray = network((torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std).numpy()
    return found


def infer(folder: ModelFolder, pixels: np.ndarray, chosen: str = "auto") -> np.ndarray:
    """The engine's logits, each picture in a batch of its own."""
    engine = load_engine(folder, chosen, threads=1, gpu=False)
    return np.concatenate([engine.infer(one[np.newaxis].copy()) for one in pixels])


@pytest.mark.parametrize("precision", MOVES)
def test_openvino_gives_torchs_answers(made: Path, precision: str) -> None:
    folder = read_folder(made / precision)
    wanted = plain_torch(folders.small_network(), PIXELS)
    found = infer(folder, PIXELS)
    assert found.dtype == np.float32
    assert np.ptp(wanted) > 3
    assert np.abs(found - wanted).max() < MOVES[precision]
    assert np.abs(activate(found, "softmax") - activate(wanted, "softmax")).max() < TOLERANCE
    assert found.argmax(1).tolist() == wanted.argmax(1).tolist()


def test_a_quantised_network_is_quantised(made: Path) -> None:
    assert "FakeQuantize" in (made / "int8/model.xml").read_text()
    assert "FakeQuantize" not in (made / "f32/model.xml").read_text()


@pytest.mark.parametrize("name", ["torchvision", "transformers"])
def test_torch_f32_gives_the_librarys_answers(made: Path, name: str) -> None:
    folder = read_folder(made / name)
    wanted = plain_torch(load_network(folder), PIXELS)
    assert np.abs(infer(folder, PIXELS) - wanted).max() < 1e-4


def test_torch_bf16_is_near_torch_f32(made: Path) -> None:
    folder = read_folder(made / "transformers")
    half = dataclasses.replace(folder, engine=dataclasses.replace(folder.engine, precision="bf16"))
    f32, bf16 = infer(folder, PIXELS), infer(half, PIXELS)
    assert 0 < np.abs(f32 - bf16).max() < 0.05
    assert np.abs(activate(f32, "softmax") - activate(bf16, "softmax")).max() < TOLERANCE


@pytest.mark.parametrize("name", ["f32", "int8", "torchvision", "transformers"])
def test_a_batch_gives_each_picture_the_answer_it_gets_alone(made: Path, name: str) -> None:
    folder = read_folder(made / name)
    engine = load_engine(folder, "auto", threads=1, gpu=False)
    for size in folder.engine.batch_sizes:
        assert np.abs(engine.infer(PIXELS[:size]) - infer(folder, PIXELS[:size])).max() < 1e-4


def test_an_answer_is_not_overwritten_by_the_next_one(made: Path) -> None:
    engine = load_engine(read_folder(made / "f32"), "auto", threads=1, gpu=False)
    first = engine.infer(PIXELS[:1])
    kept = first.copy()
    engine.infer(PIXELS[1:2])
    assert np.array_equal(first, kept)


def test_an_engine_says_what_it_is(made: Path) -> None:
    for name, wanted in {"int8": ("openvino", "int8"), "torchvision": ("torch", "f32")}.items():
        engine = load_engine(read_folder(made / name), "auto", threads=1, gpu=False)
        assert (engine.name, engine.precision) == wanted


def test_torch_uses_the_slots_number_of_threads(made: Path) -> None:
    load_engine(read_folder(made / "torchvision"), "auto", threads=2, gpu=False)
    assert torch.get_num_threads() == 2


def test_openvino_cannot_run_what_was_not_prepared_for_it(made: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_engine(read_folder(made / "torchvision"), "openvino", threads=1, gpu=False)
    assert str(caught.value) == (
        f'{made / "torchvision"}: engine openvino needs a prepared OpenVINO network, found loader "torchvision"; '
        'set [engine] name = "torch" in model.toml'
    )


def test_torch_cannot_run_a_prepared_openvino_network(made: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_engine(read_folder(made / "f32"), "torch", threads=1, gpu=False)
    assert str(caught.value) == (
        f"{made / 'f32'}: engine torch cannot run loader 'openvino'; "
        "it runs torchvision, transformers, timm, modelscope, checkpoint, pt2: "
        "set [engine] name to the engine the folder was prepared for"
    )


def test_torch_has_no_int8(made: Path) -> None:
    folder = read_folder(made / "torchvision")
    int8 = dataclasses.replace(folder, engine=dataclasses.replace(folder.engine, precision="int8"))
    with pytest.raises(ModelError) as caught:
        load_engine(int8, "auto", threads=1, gpu=False)
    assert str(caught.value) == 'engine torch runs f32, bf16, found precision "int8"; set one of these'

"""The torch engine on a GPU, compared with the same network on the CPU."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import folders
from tests.gpu import networks
from worker.contract.engine import EngineSpec
from worker.engines import Engine, load_engine
from worker.engines.torch import Captured, Eager, TorchEngine
from worker.engines.warm_up import warm_up
from worker.models.folder import read_folder
from worker.models.golden import TOLERANCE
from worker.models.labels import activate

GPU = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
SIZES = (1, 4, 16, 64)
IMAGES = np.random.default_rng(0).integers(0, 256, (64, 1, 1, 3)) + np.zeros((64, folders.SIZE, folders.SIZE, 3))
PIXELS = np.clip(IMAGES + np.random.default_rng(1).integers(-9, 9, IMAGES.shape), 0, 255).astype(np.uint8)
precisions = pytest.mark.parametrize("precision", ["f32", "bf16", "fp16"])


def load(path: Path, precision: str, gpu: str = GPU, sizes: tuple[int, ...] = SIZES) -> Engine:
    folder = replace(read_folder(path), engine=EngineSpec("torch", precision, sizes))
    return load_engine(folder, "auto", 1, gpu)


def scores(engine: Engine, pixels: np.ndarray) -> np.ndarray:
    return activate(engine.infer(pixels), "softmax")


def kinds(engine: Engine) -> set[type]:
    """Return the classes that run the batch sizes of `engine`."""
    assert isinstance(engine.runner, TorchEngine)
    return {type(batch) for batch in engine.runner._batches.values()}


@precisions
def test_a_gpu_gives_the_answers_of_the_cpu_in_batches_of_every_size(tmp_path: Path, precision: str) -> None:
    path = networks.folder(tmp_path / "small")
    engine, expected = load(path, precision), scores(load(path, "f32", gpu=""), PIXELS)
    assert np.ptp(expected, axis=0).max() > 0.5
    for count in (1, 3, 4, 9, 16, 40, 64):
        assert np.abs(scores(engine, PIXELS[:count]) - expected[:count]).max() < TOLERANCE


@precisions
def test_every_batch_size_is_a_cuda_graph(tmp_path: Path, precision: str) -> None:
    assert kinds(load(networks.folder(tmp_path / "small"), precision)) == {Captured}


def test_a_network_that_waits_for_the_gpu_runs_without_a_graph(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = networks.folder(tmp_path / "reading", networks.READING)
    engine = load(path, "f32")
    assert kinds(engine) == {Eager}
    assert [message.partition(":")[0] for message in caplog.messages] == [
        f"batches of {size} run without a CUDA graph" for size in SIZES
    ]
    assert np.abs(scores(engine, PIXELS) - scores(load(path, "f32", gpu=""), PIXELS)).max() < TOLERANCE


def test_an_answer_is_not_overwritten_by_the_next_one(tmp_path: Path) -> None:
    engine = load(networks.folder(tmp_path / "small"), "fp16")
    first = engine.infer(PIXELS[:1])
    copy = first.copy()
    engine.infer(PIXELS[1:2])
    assert np.array_equal(first, copy)


def test_warm_up_measures_every_batch_size(tmp_path: Path) -> None:
    engine = load(networks.folder(tmp_path / "small"), "fp16")
    seconds = warm_up(engine.infer, engine.batch_sizes, PIXELS.shape[1:], timed=True)
    assert tuple(seconds) == SIZES
    assert min(seconds.values()) > 0

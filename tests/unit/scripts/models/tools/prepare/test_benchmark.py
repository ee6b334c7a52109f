"""Benchmarks of engines on small folders: the measurements, the valid batch sizes and the candidates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.models.tools.prepare import benchmark, measure
from scripts.models.tools.prepare.benchmark import Candidate, ModelUnderTest, run_benchmark
from scripts.models.tools.prepare.effort import QUICK
from scripts.models.tools.prepare.measure import Bench
from tests.folders import SIZE, Bright, checkpoint_folder, finish, onnx_folder, openvino_folder, small_network
from tests.unit.hardware import recorded
from worker.contract.declarations import INT8
from worker.contract.engines import ENGINES
from worker.contract.machine import machine_kind
from worker.models.folder import read_folder

PREPARED = {
    "openvino-f32": "prepared/f32.xml", "openvino-int8": "prepared/int8.xml",
    "onnxruntime-f32": "prepared/f32.onnx", "onnxruntime-int8": "prepared/int8.onnx",
}  # fmt: skip
OPENVINO = Candidate("openvino", "f32", "")
BRIEF = replace(QUICK, min_run_s=0.001, measure_s=0.0)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, np.random.default_rng(1).integers(0, 255, (20, SIZE, SIZE, 3)).astype(np.uint8))
    return path


def test_an_engine_is_timed_at_every_batch_size_and_classifies_every_image(tmp_path: Path, images: Path) -> None:
    result = run_benchmark(ModelUnderTest(openvino_folder(tmp_path / "bright"), {}, images, BRIEF), OPENVINO, 1)
    assert result.logits.shape == (20, 3)
    assert result.fault == ""
    assert set(result.seconds) == set(benchmark.CPU_SIZES)
    assert all(seconds > 0 for seconds in result.seconds.values())
    assert 10_000_000 < result.memory < 10_000_000_000


class BatchMean(Bright):
    """A network like a wrong conversion: right for one image, not for several."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return super().forward(pixels).mean(dim=0, keepdim=True).expand(pixels.shape[0], 3)


def test_batch_sizes_that_change_the_answers_are_left_out(tmp_path: Path, images: Path) -> None:
    colours = np.full((4, SIZE, SIZE, 3), 128, np.uint8)
    colours[0, ..., 0] = colours[1, ..., 2] = 255
    np.save(tmp_path / "colours.npy", colours)
    folder = openvino_folder(tmp_path / "whole", network=BatchMean())
    result = run_benchmark(ModelUnderTest(folder, {}, tmp_path / "colours.npy", BRIEF), OPENVINO, 1)
    assert result.batch_sizes == (1,)
    assert set(result.seconds) == {1}


def test_a_network_exported_for_one_image_is_benchmarked_with_one(tmp_path: Path, images: Path) -> None:
    path = tmp_path / "one"
    path.mkdir()
    network = small_network()
    torch.export.save(torch.export.export(network, (torch.zeros(1, 3, SIZE, SIZE),)), path / "m.pt2")
    finish(path, network, loader="pt2", weights="m.pt2", batch_sizes=[1])
    result = run_benchmark(ModelUnderTest(path, {}, images, BRIEF), Candidate("torch", "f32", ""), 1)
    assert (set(result.seconds), result.logits.shape) == ({1}, (20, 3))


def test_a_different_answer_to_a_golden_image_is_a_fault(tmp_path: Path, images: Path) -> None:
    folder = openvino_folder(tmp_path / "bright")
    manifest = folder / "model.toml"
    golden = read_folder(folder).golden[0]
    manifest.write_text(manifest.read_text().replace(f"score = {golden.score:.4f}", "score = 0.1"))
    assert "expected cat (0.100)" in run_benchmark(ModelUnderTest(folder, {}, images, BRIEF), OPENVINO, 1).fault


def bench(folder: Path, quantised: bool = False, machine: str = "two-cores") -> Bench:
    prepared = PREPARED if "checkpoint" in folder.name else {}
    return Bench(read_folder(folder), ModelUnderTest(folder, prepared, folder, BRIEF), recorded(machine), quantised)


def test_everything_that_can_run_is_a_candidate(tmp_path: Path) -> None:
    torch_built = checkpoint_folder(tmp_path / "checkpoint")
    every = [(engine, precision) for engine in ENGINES.values() for precision in engine.cpu]
    assert list(map(str, measure.candidates(bench(torch_built)))) == [f"{one.name} {how}" for one, how in every]
    assert {candidate.machine for candidate in measure.candidates(bench(torch_built))} == {machine_kind()}
    ready = openvino_folder(tmp_path / "ready")
    assert list(map(str, measure.candidates(bench(ready)))) == ["openvino f32", "openvino bf16"]
    assert list(map(str, measure.candidates(bench(ready, quantised=True)))) == ["openvino int8"]
    exported = list(map(str, measure.candidates(bench(onnx_folder(tmp_path / "onnx")))))
    assert exported == [f"{one.name} {how}" for one, how in every if "onnx" in one.reads and how != INT8]

"""Benchmarks of candidates on small folders: those that run and those that are left out."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.models.tools.prepare import measure
from tests.folders import checkpoint_folder, openvino_folder
from tests.unit.hardware import recorded
from tests.unit.scripts.models.tools.prepare.test_benchmark import bench
from worker.contract.machine import UNKNOWN_GPU
from worker.contract.toml_reader import ModelError


def test_one_gpu_of_each_kind_is_benchmarked_if_torch_builds_the_network(tmp_path: Path) -> None:
    """This machine has no GPU, so all recorded ones are of the unknown kind."""
    folder = checkpoint_folder(tmp_path / "checkpoint")
    found = [one for one in measure.candidates(bench(folder, machine="eight-gpus")) if one.gpu]
    first = recorded("eight-gpus").gpus[0].uuid
    assert [(str(one), one.machine, one.gpu) for one in found] == [
        (f"torch {precision} on the GPU", UNKNOWN_GPU, first) for precision in ("f32", "bf16", "fp16")
    ]
    ready = openvino_folder(tmp_path / "ready")
    assert not [one for one in measure.candidates(bench(ready, machine="eight-gpus")) if one.gpu]


def test_a_candidate_that_cannot_run_is_left_out_with_one_line(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = openvino_folder(tmp_path / "bright")
    benchmark = bench(folder)
    benchmark = replace(benchmark, model=replace(benchmark.model, images=images, prepared={"openvino-int8": "no.xml"}))
    rows = {row.precision: row for row, _ in measure.benchmark_candidates(benchmark)}
    output = capsys.readouterr()
    assert "!! openvino int8 is left out: it cannot run: " in output.err
    assert {"f32"} <= rows.keys() <= {"f32", "bf16"}
    assert (rows["f32"].agreement, rows["f32"].difference) == (1, 0)
    assert "   answers are compared with openvino f32: this folder has no network for torch" in output.out


def test_a_reference_that_cannot_run_is_an_error(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = openvino_folder(tmp_path / "bright")
    benchmark = bench(folder)
    (folder / "model.xml").write_text("<net/>")
    with pytest.raises(ModelError, match=r"bright: openvino f32 must run: the others are compared with it$"):
        list(measure.benchmark_candidates(benchmark))
    assert "openvino f32 is left out: it cannot run: " in capsys.readouterr().err

"""Engines tried on small folders: what is measured, and which batch sizes are sound."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.models.tools.prepare import measure
from tests.folders import checkpoint_folder, openvino_folder
from tests.unit.hardware import recorded
from tests.unit.scripts.models.tools.prepare.test_benchmark import bench
from worker.contract.fields import ModelError
from worker.contract.machine import UNKNOWN_GPU


def test_one_gpu_of_a_kind_is_tried_where_torch_builds_the_network(tmp_path: Path) -> None:
    """No GPU is here, so that all those recorded are of the unknown kind."""
    folder = checkpoint_folder(tmp_path / "checkpoint")
    found = [one for one in measure.candidates(bench(folder, machine="eight-gpus")) if one.gpu]
    first = recorded("eight-gpus").gpus[0].uuid
    assert [(str(one), one.machine, one.gpu) for one in found] == [
        (f"torch {precision} on the GPU", UNKNOWN_GPU, first) for precision in ("f32", "bf16", "fp16")
    ]
    ready = openvino_folder(tmp_path / "ready")
    assert not [one for one in measure.candidates(bench(ready, machine="eight-gpus")) if one.gpu]


def test_what_cannot_run_is_left_out_in_a_line_and_the_rest_goes_on(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = openvino_folder(tmp_path / "bright")
    given = bench(folder)
    given = replace(given, subject=replace(given.subject, images=images, prepared={"openvino-int8": "no.xml"}))
    rows = {row.precision: row for row, _ in measure.tried(given)}
    said = capsys.readouterr()
    assert "!! openvino int8 is left out, for it cannot run: " in said.err
    assert {"f32"} <= rows.keys() <= {"f32", "bf16"}
    assert (rows["f32"].agreement, rows["f32"].difference) == (1, 0)
    assert "   answers are held against openvino f32 itself: this folder has no network for torch" in said.out


def test_a_reference_that_cannot_run_ends_it(tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = openvino_folder(tmp_path / "bright")
    given = bench(folder)
    (folder / "model.xml").write_text("<net/>")
    with pytest.raises(ModelError, match=r"bright: openvino f32 must run, for the others are held against it$"):
        list(measure.tried(given))
    assert "openvino f32 is left out, for it cannot run: " in capsys.readouterr().err

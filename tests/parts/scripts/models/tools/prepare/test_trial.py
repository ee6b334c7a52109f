"""Engines tried on small folders: what is measured, and which batch sizes are sound."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scripts.models.tools.prepare import measure
from scripts.models.tools.prepare.benchmark import Subject
from scripts.models.tools.prepare.effort import QUICK
from scripts.models.tools.prepare.measure import Bench
from tests.folders import SIZE, checkpoint_folder, openvino_folder
from tests.unit.hardware import recorded
from worker.contract.fields import ModelError
from worker.contract.machine import UNKNOWN_GPU
from worker.models.folder import read_folder

PREPARED = {
    "openvino-f32": "prepared/f32.xml", "openvino-int8": "prepared/int8.xml",
    "onnxruntime-f32": "prepared/f32.onnx", "onnxruntime-int8": "prepared/int8.onnx",
}  # fmt: skip
BRIEF = replace(QUICK, turn_s=0.001, measure_s=0.0)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, np.random.default_rng(1).integers(0, 255, (20, SIZE, SIZE, 3)).astype(np.uint8))
    return path


def bench(folder: Path, quantised: bool = False, machine: str = "two-cores") -> Bench:
    prepared = PREPARED if "checkpoint" in folder.name else {}
    return Bench(read_folder(folder), Subject(folder, prepared, folder, BRIEF), recorded(machine), quantised)


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

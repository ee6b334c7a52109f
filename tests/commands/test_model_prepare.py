"""`make model-add` and `make model-prepare` measure every engine on this machine and record the fastest right one."""

import os
import signal
import subprocess
import tomllib
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests
import torch

from scripts.cluster.config import ROOT
from scripts.models.tools.prepare import __main__ as tool
from scripts.models.tools.prepare.effort import THOROUGH
from tests import in_process
from tests.commands.services import PATIENT
from tests.folders import SIZE, image
from tests.service import Service, bare_environment, create, table
from worker.contract.engine import Measurement
from worker.contract.files import sha256
from worker.contract.machine import machine_kind
from worker.models.folder import read_folder, verify_files

NETWORK = """
import torch

def build(classes):
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, classes))
"""
COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}
CPU_ROWS = {
    ("torch", "f32"), ("torch", "bf16"), ("openvino", "f32"), ("openvino", "int8"), ("onnxruntime", "f32"),
    ("onnxruntime", "int8"),
}  # fmt: skip
OF_ANOTHER = """
[[engine.measured]]
machine = "another"
engine = "torch"
precision = "f32"
batch_sizes = [1]
images_per_s = 1.0
agreement = 1.0
difference = 0.0
chosen = true
"""


@dataclass(frozen=True)
class ModelWorkspace:
    """A network of the user's own that tells plain colours apart, images of them, and a service to serve it."""

    path: Path
    service: Service

    @property
    def folder(self) -> Path:
        return self.path / "models/colours"

    @property
    def manifest(self) -> Path:
        return self.folder / "model.toml"

    def make(self, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.service.make(target, f"MODELS={self.path}/models", *arguments)

    def make_here(self, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a target in this process."""
        place = (f"CLUSTER={self.service.cluster}", f"RUN_DIR={self.service.run_dir}")
        return in_process.make(target, f"MODELS={self.path}/models", *place, *arguments)

    def refused(self, *arguments: str) -> list[str]:
        """The lines with which model-prepare refuses; the folder must be as it was."""
        before = held(self.path / "models")
        done = self.make_here("model-prepare", "NAME=colours", *arguments)
        assert done.returncode != 0, done.stdout
        assert held(self.path / "models") == before
        said = [line.removeprefix("!! ") for line in done.stderr.splitlines() if line.startswith("!! ")]
        return [line for line in said if not line.startswith("this machine is busy: ")]

    def engine(self) -> dict[str, Any]:
        table: dict[str, Any] = tomllib.loads(self.manifest.read_text())["engine"]
        return table


def held(folder: Path) -> dict[str, str]:
    """The sha256 of everything in the library."""
    return {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> ModelWorkspace:
    path = tmp_path_factory.mktemp("shelf")
    (path / "own").mkdir()
    (path / "own/network.py").write_text(NETWORK)
    torch.save({"2.weight": torch.eye(3) * 10, "2.bias": torch.zeros(3)}, path / "own/own.pth")
    (path / "en.txt").write_text("\n".join(COLOURS) + "\n")
    (path / "images").mkdir()
    for number in range(20):
        for name, colour in COLOURS.items():
            shade = tuple(value - number for value in colour)
            image((shade[0], shade[1], shade[2])).save(path / f"images/{name}{number}.png")
    (path / "images/notes.txt").write_text("not an image")
    return ModelWorkspace(path, create(path / "service", table("colours", path / "models/colours"), PATIENT))


@pytest.fixture(scope="module")
def added(shelf: ModelWorkspace) -> subprocess.CompletedProcess[str]:
    """How adding it went."""
    own = (f"SOURCE={shelf.path}/own", "NAME=colours", f"LABELS=en:{shelf.path}/en.txt", "TRUST_CODE=1")
    images = (f"CALIBRATION={shelf.path}/images", f"GOLDEN={shelf.path}/images/red0.png")
    done = shelf.make("model-add", *own, *images, f"SIZE={SIZE}", "PREPARE=quick")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def unprepared(text: str) -> list[str]:
    """Return the lines of a model.toml before [engine], but for the sums of prepared networks."""
    return [line for line in text.partition("[engine]")[0].splitlines() if not line.startswith('"prepared/')]


def rows(shelf: ModelWorkspace) -> list[Measurement]:
    return list(read_folder(shelf.folder).engine.measured)


def test_every_engine_is_measured_and_the_fastest_that_passes_is_chosen(
    shelf: ModelWorkspace, added: subprocess.CompletedProcess[str]
) -> None:
    found = [row for row in rows(shelf) if row.machine == machine_kind()]
    assert {(row.engine, row.precision) for row in found} - {("openvino", "bf16")} == CPU_ROWS, added.stderr
    (chosen,) = [row for row in found if row.chosen]
    assert chosen.images_per_s == max(row.images_per_s for row in found if row.passed)
    exact = [row for row in found if row.precision == "f32"]
    assert all((row.agreement, round(row.difference, 4)) == (1, 0) for row in exact)
    assert all(row.quick for row in found)
    assert all(0 <= row.difference < 0.1 and row.images_per_s > 0 and row.batch_sizes[0] == 1 for row in found)


@pytest.mark.usefixtures("added")
def test_what_cores_bring_is_measured_with_the_engine_that_was_chosen(shelf: ModelWorkspace) -> None:
    scaling = read_folder(shelf.folder).engine.scaling
    assert [row.cores for row in scaling][:1] == [1]
    assert {row.machine for row in scaling} == {machine_kind()}
    assert all(row.images_per_s > 0 and row.latency_ms > 0 for row in scaling)
    doctor = shelf.make_here("doctor").stdout
    assert "measured best for throughput" in doctor


def test_what_scaled_decoding_changes_is_measured_recorded_and_shown(
    shelf: ModelWorkspace, added: subprocess.CompletedProcess[str]
) -> None:
    small, large = shelf.engine()["decoding"]
    assert shelf.engine()["decode"] == "scaled"
    # One of the 50 files is no image.
    assert small == {"size": "small", "images": 49, "agreement": 1.0, "difference": 0.0}
    assert (large["size"], large["images"], large["agreement"]) == ("large", 49, 1.0)
    assert "   49 small images: agreement 100.0%, largest difference of a score 0.0000" in added.stdout.splitlines()
    shown = shelf.make_here("models", "NAME=colours").stdout.splitlines()
    assert any(line.startswith("large images ") for line in shown)
    assert shown[-1] == "decode: scaled, as measured"


def test_progress_is_told_a_line_each(added: subprocess.CompletedProcess[str]) -> None:
    for words in ("37 to calibrate int8, 24 others to compare answers", "prepared/int8.onnx", "torch bf16: "):
        assert any(words in line for line in added.stdout.splitlines())
    assert "   24 images, which the reference assigns to 3 classes" in added.stdout.splitlines()


@pytest.mark.usefixtures("added")
def test_the_safe_choice_for_other_machines_is_openvino_in_f32(shelf: ModelWorkspace) -> None:
    verify_files(read_folder(shelf.folder))
    assert (shelf.engine()["name"], shelf.engine()["precision"]) == ("openvino", "f32")
    assert read_folder(shelf.folder).engine.choose("of another kind").engine == "openvino"


@pytest.mark.usefixtures("added")
def test_the_table_shows_what_runs_here_and_all_that_was_measured(shelf: ModelWorkspace) -> None:
    (chosen,) = [row for row in rows(shelf) if row.chosen and row.machine == machine_kind()]
    shown = shelf.make_here("models").stdout.splitlines()
    (line,) = [line for line in shown if line.startswith("colours ")]
    assert line.split()[5:8] == [chosen.engine, chosen.precision, f"{chosen.images_per_s:.1f}"]
    assert line.split()[-1] == "yes"
    every = shelf.make_here("models", "NAME=colours").stdout.splitlines()
    assert sum(line.startswith(f"{machine_kind()}  ") for line in every) == len(rows(shelf)) + len(
        shelf.engine()["scaling"]
    )


@pytest.mark.usefixtures("added")
def test_a_worker_serves_by_what_was_chosen(shelf: ModelWorkspace) -> None:
    (chosen,) = [row for row in rows(shelf) if row.chosen and row.machine == machine_kind()]
    shelf.service.up()
    try:
        status = requests.get(f"{shelf.service.endpoint}/status", timeout=60).json()
        blue = (shelf.path / "images/blue3.png").read_bytes()
        header = {"Content-Type": "image/png"}
        answer = requests.post(f"{shelf.service.endpoint}/predict", data=blue, headers=header, timeout=60).json()
    finally:
        shelf.service.down()
    assert {(worker["engine"], worker["precision"]) for worker in status["workers"]} == {
        (chosen.engine, chosen.precision)
    }
    assert answer["predictions"][0]["label"] == "blue"


@pytest.mark.usefixtures("added")
def test_measuring_thoroughly_replaces_what_was_measured_quickly_and_keeps_other_machines_rows(
    shelf: ModelWorkspace,
) -> None:
    shelf.manifest.write_text(shelf.manifest.read_text() + OF_ANOTHER)
    before, files = shelf.manifest.read_text(), held(shelf.folder)
    effort = replace(THOROUGH, images=60, measure_s=0.1, min_run_s=0.01, busy_s=0.1)
    with patch.object(tool, "THOROUGH", effort):
        done = shelf.make_here("model-prepare", "NAME=colours")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "prepared: run `make rollout` to serve colours as prepared"
    assert unprepared(shelf.manifest.read_text()) == unprepared(before)
    assert held(shelf.folder).keys() == files.keys()
    changed = {name for name, digest in held(shelf.folder).items() if digest != files[name]}
    assert {"model.toml", "prepared/int8.onnx"} <= changed  # calibrated anew, on more images
    assert not [name for name in changed if "f32" in name]
    assert [row.machine for row in rows(shelf) if row.machine != machine_kind()] == ["another"]
    assert {row.quick for row in rows(shelf) if row.machine == machine_kind()} == {False}
    assert {row.machine for row in rows(shelf) if row.chosen} == {machine_kind(), "another"}


@pytest.mark.usefixtures("added")
def test_preparing_that_is_ended_leaves_the_folder_as_it_was(shelf: ModelWorkspace) -> None:
    before = held(shelf.path / "models")
    command = ["make", "--no-print-directory", "model-prepare", "NAME=colours", f"MODELS={shelf.path}/models"]
    command += [f"CLUSTER={shelf.service.cluster}", f"RUN_DIR={shelf.service.run_dir}"]
    with subprocess.Popen(
        command, cwd=ROOT, env=bare_environment(), start_new_session=True, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        printed = list(takewhile(lambda line: not line.startswith("-- converting"), process.stdout or ()))
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()
    assert process.returncode
    assert "   301 to calibrate int8, 200 others to compare answers\n" in printed  # thorough unless PREPARE=quick
    assert held(shelf.path / "models") == before


@pytest.mark.usefixtures("added")
def test_what_cannot_be_measured_on_or_so_is_refused(shelf: ModelWorkspace, tmp_path: Path) -> None:
    assert shelf.refused("CALIBRATION=/no/images") == [
        "CALIBRATION: /no/images: no such folder: needed one with images"
    ]
    image((9, 9, 9)).save(tmp_path / "one.png")
    assert shelf.refused(f"CALIBRATION={tmp_path}") == [
        f"{tmp_path}: found 1 images that can be decoded, needed 50 or more, preferably 500"
    ]
    assert shelf.refused("PREPARE=0") == ["PREPARE: found '0', needed quick, or no value for a thorough measurement"]


@pytest.mark.usefixtures("added")
def test_a_changed_file_is_named_where_it_lies_and_nothing_is_prepared(shelf: ModelWorkspace) -> None:
    labels = shelf.folder / "labels.en.txt"
    before = labels.read_text()
    labels.write_text("RED\ngreen\nblue\n")
    try:
        said = shelf.refused()
    finally:
        labels.write_text(before)
    assert said == [f"{shelf.manifest}: golden/0/label: 'red' is not the label in line 0 (['RED'])"]

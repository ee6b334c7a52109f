"""Which engine a worker takes, what it says of that, and what it keeps for its next start."""

from pathlib import Path

import pytest

from tests import folders, images
from tests.local.worker_harness import running
from worker.contract import machine

RED = images.encoded(folders.image(folders.RED), "PNG")
ROW = """[[engine.measured]]
machine = "{machine}"
engine = "onnxruntime"
precision = "f32"
batch_sizes = [1, 2]
images_per_s = 900.0
agreement = 1.0
difference = 0.0
chosen = true
"""
KIND = f"on this kind of machine, {machine.machine_kind()}"


@pytest.mark.parametrize(
    ("measured_on", "engine", "found", "choice"),
    [
        (machine.machine_kind(), "auto", "onnxruntime", f"the fastest that was measured {KIND}"),
        ("another", "auto", "openvino", f"the safe choice: nothing was measured {KIND}"),
        (machine.machine_kind(), "openvino", "openvino",
         f"engine openvino was requested; the safe choice: nothing was measured {KIND}"),
    ],
)  # fmt: skip
def test_a_worker_takes_the_fastest_engine_of_its_kind_of_machine_and_says_why(
    tmp_path: Path, measured_on: str, engine: str, found: str, choice: str
) -> None:
    folder = folders.onnx_folder(tmp_path / "m")
    with (folder / "model.toml").open("a") as file:
        file.write(ROW.format(machine=measured_on))
    with running(folder, tmp_path / "log", ENGINE=engine) as worker:
        state = worker.wait_until("ready")
        assert (state["engine"], state["precision"], state["choice"]) == (found, "f32", choice)
        assert worker.predict(RED).status == 200
    assert f"engine {found} in f32: {choice}" in (tmp_path / "log").read_text()


def test_compiled_networks_are_kept_for_the_next_start_of_the_same_worker(tmp_path: Path) -> None:
    folder = folders.openvino_folder(tmp_path / "m", precision="int8", network=folders.small_network())
    answers, starts = [], []
    for _ in range(2):
        with running(folder, tmp_path / "log", CACHE=tmp_path / "cache") as worker:
            answers.append(worker.predict(RED).json["predictions"])
        starts.append({path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.blob")})
    assert answers[0] == answers[1]
    assert starts[0] == starts[1]
    assert [path.parents[2].name for path in starts[0]] == ["bright-0", "bright-0"]


@pytest.mark.parametrize("place", ["a file/cache", "/proc/cache"])
def test_a_cache_that_cannot_be_written_keeps_no_worker_from_serving(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").touch()
    folder = folders.openvino_folder(tmp_path / "m", precision="int8", network=folders.small_network())
    with running(folder, tmp_path / "log", CACHE=tmp_path / place) as worker:
        assert worker.predict(RED).status == 200
    assert "cannot cache compiled networks: " in (tmp_path / "log").read_text()

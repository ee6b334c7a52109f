"""The servers that the benchmark starts and stops, and its fixtures."""

import os
import tomllib
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bench.fixtures import check_photos, keep_f32_only
from scripts.bench.servers import cluster_text
from scripts.bench.targets import REFERENCE, SERVICE, Fixtures, Load, Target
from scripts.cluster.config import load_cluster
from scripts.cluster.hardware import Cpu, Hardware
from scripts.cluster.plan import plan


@pytest.fixture
def fixtures(tmp_path: Path) -> Fixtures:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/one.jpg").write_bytes(b"\xff\xd8\xff")
    names = {REFERENCE: tmp_path / "model"}
    cpus = frozenset(os.sched_getaffinity(0))
    return Fixtures(names, names, tmp_path / "images", tmp_path / "cluster.toml", cpus, [frozenset({min(cpus)})])


def test_a_service_on_one_slot_has_one_worker_on_that_slot(tmp_path: Path) -> None:
    machine = Hardware(tuple(Cpu(number, number, 0, 0) for number in range(2)), (), 8 << 30)
    for one_slot, cpus in ((True, [(0,)]), (False, [(0,), (1,)])):
        target = Target("x", "a service", SERVICE, REFERENCE, (Load(),), one_slot)
        file = tmp_path / "cluster.toml"
        slots = [frozenset({0}), frozenset({1})]
        fixtures = Fixtures({REFERENCE: tmp_path}, {}, tmp_path, file, frozenset({0, 1}), slots)
        file.write_text(cluster_text(target, fixtures, 9000))
        cluster = load_cluster(file)
        assert cluster.port == 9000
        assert [worker.slot.cpus for worker in plan(cluster, {"this": machine}).workers] == cpus


MODEL = """name = "resnet18"

[engine]
name = "torch"
precision = "bf16"
batch_sizes = [1, 4]
[engine.prepared]
openvino-f32 = "prepared/f32.xml"
[[engine.measured]]
machine = "here"
engine = "openvino"
precision = "int8"
batch_sizes = [1]
images_per_s = 300.0
chosen = true
[[engine.measured]]
machine = "here"
engine = "torch"
precision = "f32"
batch_sizes = [1]
images_per_s = 30.0
[[engine.measured]]
machine = "here"
engine = "openvino"
precision = "f32"
batch_sizes = [1, 2]
images_per_s = 50.0
[[engine.measured]]
machine = "elsewhere"
engine = "onnxruntime"
precision = "f32"
batch_sizes = [8]
images_per_s = 500.0
"""


@pytest.mark.parametrize(("kind", "name", "sizes"), [("here", "openvino", [1, 2]), ("elsewhere", "onnxruntime", [8])])
def test_f32_only_keeps_the_fastest_f32_engine_measured_on_this_machine(kind: str, name: str, sizes: list[int]) -> None:
    table = tomllib.loads(keep_f32_only(MODEL, kind))
    assert table["name"] == "resnet18"
    prepared = {"openvino-f32": "prepared/f32.xml"}
    assert table["engine"] == {"name": name, "precision": "f32", "batch_sizes": sizes, "prepared": prepared}


def test_f32_only_keeps_the_default_engine_if_nothing_was_measured() -> None:
    table = tomllib.loads(keep_f32_only(MODEL, "nowhere"))
    assert table["engine"]["name"] == "torch"
    assert table["engine"]["precision"] == "f32"
    assert table["engine"]["batch_sizes"] == [1, 4]


def test_photos_must_be_a_folder_of_images_and_nothing_else(tmp_path: Path) -> None:
    def refused(folder: Path) -> str:
        with pytest.raises(CommandError) as caught:
            check_photos(folder)
        return "\n".join(caught.value.lines)

    missing = tmp_path / "none"
    assert refused(missing) == (f"PHOTOS: {missing}: found no such folder, needed a folder of images: correct the path")
    needed = "needed files ending in .jpg, .jpeg, .png, .webp"
    assert refused(tmp_path) == f"PHOTOS: {tmp_path}: found no images, {needed}"
    (tmp_path / "a.JPG").touch()
    assert check_photos(tmp_path) == tmp_path
    (tmp_path / "notes.txt").touch()
    assert refused(tmp_path) == f"PHOTOS: {tmp_path}: found notes.txt, {needed} and no others"

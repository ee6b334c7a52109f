"""What the bench starts and ends, and the material it works on."""

import os
import tomllib
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bench.fixtures import own_photos, without_others
from scripts.bench.servers import cluster_text
from scripts.bench.targets import REFERENCE, SERVICE, Load, Material, Subject
from scripts.cluster.config import load_cluster
from scripts.cluster.hardware import Cpu, Hardware
from scripts.cluster.plan import plan


@pytest.fixture
def material(tmp_path: Path) -> Material:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/one.jpg").write_bytes(b"\xff\xd8\xff")
    names = {REFERENCE: tmp_path / "model"}
    cpus = frozenset(os.sched_getaffinity(0))
    return Material(names, names, tmp_path / "images", tmp_path / "cluster.toml", cpus, [frozenset({min(cpus)})])


def test_a_service_of_one_slot_has_one_worker_on_that_slot(material: Material, tmp_path: Path) -> None:
    machine = Hardware(tuple(Cpu(number, number, 0, 0) for number in range(2)), (), 8 << 30)
    for one_slot, cpus in ((True, [(0,)]), (False, [(0,), (1,)])):
        subject = Subject("x", "a service", SERVICE, REFERENCE, (Load(),), one_slot)
        file = tmp_path / "cluster.toml"
        file.write_text(cluster_text(subject, Material({REFERENCE: tmp_path}, {}, tmp_path, file, frozenset({0, 1}),
                                                       [frozenset({0}), frozenset({1})]), 9000))  # fmt: skip
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
def test_f32_only_is_the_fastest_f32_engine_that_was_measured_here(kind: str, name: str, sizes: list[int]) -> None:
    table = tomllib.loads(without_others(MODEL, kind))
    assert table["name"] == "resnet18"
    assert table["engine"] == {
        "name": name, "precision": "f32", "batch_sizes": sizes, "prepared": {"openvino-f32": "prepared/f32.xml"}
    }  # fmt: skip


def test_f32_only_is_the_safe_engine_where_nothing_was_measured() -> None:
    table = tomllib.loads(without_others(MODEL, "nowhere"))
    assert table["engine"]["name"] == "torch"
    assert table["engine"]["precision"] == "f32"
    assert table["engine"]["batch_sizes"] == [1, 4]


def test_own_photos_are_a_folder_of_images_and_nothing_else(tmp_path: Path) -> None:
    def refused(folder: Path) -> str:
        with pytest.raises(CommandError) as refusal:
            own_photos(folder)
        return "\n".join(refusal.value.lines)

    assert refused(tmp_path / "none") == f"PHOTOS: {tmp_path / 'none'}: no such folder"
    needed = "needed files ending in .jpg, .jpeg, .png, .webp"
    assert refused(tmp_path) == f"PHOTOS: {tmp_path}: found no images, {needed}"
    (tmp_path / "a.JPG").touch()
    assert own_photos(tmp_path) == tmp_path
    (tmp_path / "notes.txt").touch()
    assert refused(tmp_path) == f"PHOTOS: {tmp_path}: found notes.txt, {needed} and no others"

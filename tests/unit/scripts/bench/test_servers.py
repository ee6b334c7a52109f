"""The servers that the benchmark starts and stops, and its fixtures."""

import inspect
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from scripts.__main__ import parser
from scripts.base.errors import CommandError
from scripts.bench import fixtures as fixtures_module
from scripts.bench.fixtures import Fixtures, check_photos
from scripts.bench.photos import write
from scripts.bench.servers import cluster_text
from scripts.bench.targets import REFERENCE, SERVICE, SMALLEST, WORKER, Load, Target
from scripts.cluster.config import load_cluster
from scripts.cluster.hardware import Cpu, Hardware
from scripts.cluster.plan import plan


@pytest.fixture
def fixtures(tmp_path: Path) -> Fixtures:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/one.jpg").write_bytes(b"\xff\xd8\xff")
    cpus = frozenset(os.sched_getaffinity(0))
    images = {SMALLEST: tmp_path / "images"}
    return Fixtures({REFERENCE: tmp_path / "model"}, {}, images, cpus, [frozenset({min(cpus)})])


def test_a_single_worker_is_on_the_first_slot_and_a_service_on_all(tmp_path: Path) -> None:
    machine = Hardware(tuple(Cpu(number, number, 0, 0) for number in range(2)), (), 8 << 30)
    for kind, cpus in ((WORKER, [(0,)]), (SERVICE, [(0,), (1,)])):
        target = Target("x", "a service", kind, REFERENCE, (Load(),))
        file = tmp_path / "cluster.toml"
        fixtures = Fixtures({REFERENCE: tmp_path}, {}, {}, frozenset({0, 1}), [frozenset({0}), frozenset({1})])
        file.write_text(cluster_text(target, fixtures, 9000))
        cluster = load_cluster(file)
        assert cluster.port == 9000
        assert [worker.slot.cpus for worker in plan(cluster, {"this": machine}).workers] == cpus


def test_make_model_add_knows_every_flag_that_it_gets() -> None:
    flags = re.findall(r'"(--[a-z-]+)"', inspect.getsource(fixtures_module._model))
    assert "--source" in flags
    parser("model-add").parse_args(["model-add", *(word for flag in flags for word in (flag, "0"))])


def test_images_are_generated_in_the_shapes_of_a_size(tmp_path: Path) -> None:
    write(str(tmp_path / "out"), "0.2", 2)
    files = sorted((tmp_path / "out").iterdir())
    assert [Image.open(file).size for file in files] == [(500, 375), (500, 375)]
    assert files[0].read_bytes() != files[1].read_bytes()


def test_photos_are_enlarged_upright_in_their_own_shape(tmp_path: Path) -> None:
    source, out = tmp_path / "photos", tmp_path / "out"
    source.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    Image.new("RGB", (400, 100), "red").save(source / "a.jpg", exif=exif)
    Image.new("RGBA", (1000, 1000)).save(source / "b.png")
    Image.new("L", (3000, 1000)).save(source / "c.png")
    write(str(out), "2", 3, str(source))
    sizes = [Image.open(file).size for file in sorted(out.iterdir())]
    assert sizes == [(707, 2828), (1414, 1414), (3000, 1000)]  # what is large enough stays as it is
    assert {Image.open(file).mode for file in out.iterdir()} == {"RGB"}


def test_photos_must_be_a_folder_of_images_and_nothing_else(tmp_path: Path) -> None:
    def refused(folder: Path) -> str:
        with pytest.raises(CommandError) as caught:
            check_photos(folder)
        return "\n".join(caught.value.lines)

    needed = "needed a folder of files ending in .jpg, .jpeg, .png, .webp, and no others"
    for folder in (tmp_path / "none", tmp_path):
        assert refused(folder) == f"PHOTOS: {folder}: found no images, {needed}"
    (tmp_path / "a.JPG").touch()
    assert check_photos(tmp_path) == tmp_path
    (tmp_path / "notes.txt").touch()
    assert refused(tmp_path) == f"PHOTOS: {tmp_path}: found notes.txt, {needed}"

"""`make teach` on a small int8 network and drawn images, without torch, and what it made served by a worker."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.cluster.config import ROOT
from tests import in_process
from tests.folders import openvino_folder, small_network
from tests.html_page import Page
from tests.local.worker_harness import running
from tests.service import bare_environment
from worker.models.folder import read_folder

COLOURS = {"红_red": (190, 60, 60), "绿_green": (60, 190, 60), "蓝_blue": (60, 60, 190)}
LEARNED, HELD_OUT = 12, 4  # images of each class
TABLE = ("cross-validated", "held out", "method", "unsure below", "unsure")


def draw(path: Path, seed: int, colour: tuple[int, int, int]) -> None:
    """Write an image of coarse noise around `colour`."""
    noise = np.random.default_rng(seed).normal(0, 25, (5, 6, 3)) + np.array(colour)
    image = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).resize((48, 40), Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each class, split; a broken image, and one in two classes."""
    home, seed = tmp_path_factory.mktemp("images"), 0
    for name, colour in COLOURS.items():
        for part, count in (("train", LEARNED), ("val", HELD_OUT)):
            for number in range(count):
                seed += 1
                draw(home / part / name / f"{number}.png", seed, colour)
    (home / "train/红_red/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    for name in ("红_red", "蓝_blue"):
        draw(home / "train" / name / "both.png", 999, (120, 60, 120))
    return home


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    openvino_folder(path / "small", network=small_network(), precision="int8", name="small")
    return path


@pytest.fixture(scope="module")
def no_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH in which importing torch ends the process, in whichever process that happens."""
    path = tmp_path_factory.mktemp("no-torch")
    (path / "torch.py").write_text("import os\nos.write(2, b'torch was imported')\nos._exit(99)\n")
    return path


def teach(models: Path, no_torch: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = ["make", "--no-print-directory", "teach", f"MODELS={models}", "BASE=small", *arguments]
    environ = bare_environment() | {"PYTHONPATH": str(no_torch)}
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environ)


def refused(models: Path, *arguments: str) -> str:
    """What it says instead of starting anything, in this process; nothing may be left."""
    before = sorted(models.iterdir())
    done = in_process.make("teach", f"MODELS={models}", "BASE=small", *arguments)
    assert done.returncode != 0
    assert sorted(models.iterdir()) == before
    return done.stderr


@pytest.fixture(scope="module")
def taught(models: Path, images: Path, no_torch: Path) -> subprocess.CompletedProcess[str]:
    done = teach(models, no_torch, "NAME=colours", f"IMAGES={images}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_torch_would_have_been_noticed(no_torch: Path) -> None:
    command = [sys.executable, "-c", "import torch"]
    assert subprocess.run(command, env=os.environ | {"PYTHONPATH": str(no_torch)}, capture_output=True).returncode == 99


def test_the_report_says_how_good_it_is_and_what_was_left_out(
    taught: subprocess.CompletedProcess[str], models: Path
) -> None:
    said = taught.stdout.splitlines()
    assert taught.stderr == ""
    assert f"colours: 3 classes taught to small (openvino int8) with {3 * LEARNED} images" in taught.stdout
    assert [line.split("  ")[0] for line in said if line.startswith(TABLE)] == [*TABLE]
    assert "left out: cannot be used (3)" in said
    assert any("train/红_red/broken.png: " in line for line in said)
    both = "the same image is in two classes: train/红_red/both.png and train/蓝_blue/both.png: remove one"
    assert {f"   train/{name}/both.png: {both}" for name in ("红_red", "蓝_blue")} <= {*said}
    report = json.loads((models / "colours/teaching.json").read_text())
    assert report["held_out"]["accuracy"] == 1
    assert report["cross_validated"]["images"]["evaluated"] == 3 * LEARNED
    assert report["held_out"]["images"]["evaluated"] == 3 * HELD_OUT
    page = Page((models / "colours/report.html").read_text())
    assert {"红 red", both} <= {*page.texts}
    assert [tag for tag, attributes in page.elements if tag == "img" and not attributes["src"]] == []


def test_the_folder_is_verified_and_complete(taught: subprocess.CompletedProcess[str], models: Path) -> None:
    folder = read_folder(models / "colours")
    assert folder.output.labels.names == {"zh": ("红", "绿", "蓝"), "en": ("red", "green", "blue")}
    assert (folder.loader, folder.engine.name, folder.engine.precision) == ("openvino", "openvino", "int8")
    assert len(folder.golden) == len(COLOURS)
    listed = subprocess.run(
        ["make", "models", f"MODELS={models}"], cwd=ROOT, capture_output=True, text=True, env=bare_environment()
    )
    assert [line.split()[-1] for line in listed.stdout.splitlines() if line.startswith("colours ")] == ["yes"]


def test_a_worker_answers_every_image_as_the_report_says(
    taught: subprocess.CompletedProcess[str], models: Path, images: Path, tmp_path: Path
) -> None:
    report = json.loads((models / "colours/teaching.json").read_text())
    with running(models / "colours", tmp_path / "log", MODEL="colours") as worker:
        stranger = worker.predict(_stranger(tmp_path)).json
        for answer in report["answers"]:
            best = worker.predict((images / answer["file"]).read_bytes()).json["predictions"][0]
            assert best["index"] == answer["answered"], answer
            assert best["score"] == pytest.approx(answer["score"], abs=1e-3)
    assert len(report["answers"]) == 3 * (LEARNED + HELD_OUT)
    assert stranger["confident"] is False


def _stranger(folder: Path) -> bytes:
    """Return an image unlike all that was taught."""
    draw(folder / "stranger.png", 1234, (250, 250, 250))
    return (folder / "stranger.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["NAME=x"], "IMAGES: found nothing: needed a folder with a folder of images for each class"),
        (["NAME=x", "IMAGES=/no/such"], "IMAGES: /no/such: no such folder: needed a folder with a folder of images"),
        (["NAME=colours", "IMAGES={images}"], "colours: exists already: choose another NAME=, or set FORCE=1"),
        (["NAME=x", "IMAGES={images}", "BASE=none"], "BASE: found 'none', needed one of"),
    ],
)
@pytest.mark.usefixtures("taught")
def test_what_cannot_be_taught_is_refused(models: Path, images: Path, arguments: list[str], said: str) -> None:
    assert said in refused(models, *(argument.format(images=images) for argument in arguments))


def test_images_without_classes_are_refused_and_nothing_is_left(models: Path, images: Path, no_torch: Path) -> None:
    before = sorted(models.iterdir())
    done = teach(models, no_torch, "NAME=x", f"IMAGES={images}/train/红_red")
    assert done.returncode != 0
    assert "found no folder with images, needed a folder for each class" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(models.iterdir()) == before


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images to add: a fourth class, split as well, and more of the first."""
    home = tmp_path_factory.mktemp("more")
    for part, count in (("train", 6), ("val", 2)):
        for number in range(count):
            draw(home / part / "黄_yellow" / f"{number}.png", 2000 + number + 100 * len(part), (190, 190, 60))
            draw(home / part / "红_red" / f"{number}.png", 3000 + number + 100 * len(part), COLOURS["红_red"])
    return home


def test_a_second_run_computes_no_features_again_and_takes_more_without_the_images_of_before(
    taught: subprocess.CompletedProcess[str], models: Path, images: Path, more: Path, no_torch: Path, tmp_path: Path
) -> None:
    (cache,) = (path for path in (models / ".features").iterdir() if path.stat().st_size)
    before = cache.read_bytes()
    cache.write_bytes(before[:-10])  # as a killed process leaves it
    (moved := tmp_path / "moved").mkdir()
    shutil.copytree(images, moved / "images")
    done = teach(models, no_torch, "NAME=again", f"IMAGES={moved / 'images'}")
    assert done.returncode == 0, done.stderr
    assert len(cache.read_bytes()) >= len(before)  # the image whose last view was cut off has its others twice
    assert "1/2 images" not in taught.stdout
    assert [line for line in done.stdout.splitlines() if "/2 images" in line]  # the broken one, and that cut off
    networks = [(models / name / "model.bin").read_bytes() for name in ("colours", "again")]
    assert networks[0] == networks[1]

    shutil.rmtree(moved)
    assert "again: exists already" in refused(models, "BASE=", "NAME=again", f"ADD={more}")
    done = teach(models, no_torch, "BASE=", "NAME=again", f"ADD={more}", "FORCE=1")
    assert done.returncode == 0, done.stderr
    assert "-- looking at 16 images with again in int8" in done.stdout
    folder, report = read_folder(models / "again"), json.loads((models / "again/teaching.json").read_text())
    assert folder.output.labels.names["zh"] == ("红", "绿", "蓝", "黄")
    assert report["base"] == "small"
    assert report["cross_validated"]["images"]["evaluated"] == 3 * LEARNED + 12
    assert report["held_out"]["images"]["evaluated"] == 3 * HELD_OUT + 4
    assert report["replaced"]["images"] == 2  # held-out ones of the first class, whose files are there
    assert [line for line in done.stdout.splitlines() if line.startswith("replaced model")]
    with running(models / "again", tmp_path / "log", MODEL="again") as worker:
        added = [each for each in report["answers"] if each["file"].startswith(f"{more.name}/")]
        for answer in added:
            best = worker.predict((more.parent / answer["file"]).read_bytes()).json["predictions"][0]
            assert best["index"] == answer["answered"]
    assert len(added) == 16


def test_what_was_not_taught_takes_no_more(models: Path, more: Path) -> None:
    said = refused(models, "NAME=x", f"ADD={more}")
    assert "ADD: found small, which was not taught, needed a model made by `make teach`" in said
    assert "IMAGES and ADD: found both, needed one" in refused(models, "NAME=x", f"ADD={more}", f"IMAGES={more}")
    assert "NAME: found 'x', needed one of" in refused(models, "BASE=", "NAME=x", f"ADD={more}")


def started(models: Path, images: Path) -> "subprocess.Popen[str]":
    place = ["--models", str(models), "--name", "halted", "--base", "small", "--images", str(images)]
    command, pipe = [sys.executable, "-m", "scripts", "teach", *place], subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, env=bare_environment())


def looked_at(done: "subprocess.CompletedProcess[str]") -> int:
    """Return of how many images the features were computed, 0 if none had to be."""
    return max(map(int, re.findall(r"^ +\d+/(\d+) images, ", done.stdout, re.MULTILINE)), default=0)


def test_a_signal_half_way_leaves_features_alone_and_the_next_run_goes_on_from_them(
    models: Path, images: Path, no_torch: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "small", tmp_path / "small")
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with started(tmp_path, images) as running:
            next(line for line in running.stdout or () if "images/s" in line or line.startswith("-- learning"))
            running.send_signal(number)
            said = running.communicate()[1]
        assert running.returncode == status
        assert len(said.splitlines()) <= 1, said
        assert sorted(path.name for path in tmp_path.iterdir()) == [".features", "small"]
    done = teach(tmp_path, no_torch, "NAME=halted", f"IMAGES={images}")
    assert done.returncode == 0, done.stderr
    assert looked_at(done) < 3 * (LEARNED + HELD_OUT)


def test_a_full_disk_is_said_in_a_line_and_once_it_has_space_the_next_run_goes_on(
    models: Path, images: Path, no_torch: Path, tmp_path: Path
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this account may not mount a file system")
    try:
        shutil.copytree(models / "small", tmp_path / "small")
        (filler := tmp_path / ".filler").write_bytes(bytes(shutil.disk_usage(tmp_path).free - (3 << 12)))
        done = teach(tmp_path, no_torch, "NAME=full", f"IMAGES={images}")
        assert done.returncode != 0
        (said,) = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
        assert said.startswith(f"!! {tmp_path}")
        assert "No space left on device: needed free space" in said
        assert sorted(path.name for path in tmp_path.iterdir()) == [".features", ".filler", "small"]
        filler.unlink()
        done = teach(tmp_path, no_torch, "NAME=full", f"IMAGES={images}")
        assert done.returncode == 0, done.stderr
        assert looked_at(done) < 3 * (LEARNED + HELD_OUT)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)

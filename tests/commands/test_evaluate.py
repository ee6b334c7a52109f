"""`make evaluate` on a small model that tells red, green and blue apart."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster.config import ROOT
from scripts.cluster.cpu_sets import physical_cores
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import SERVE
from scripts.models.tools.evaluate import COMPARISON_JSON, COMPARISON_PAGE, JSON, PAGE, run
from scripts.models.tools.evaluate.run import Answer, answers
from scripts.models.tools.prepare.isolated import Placement, all_cpus
from tests import in_process
from tests.folders import fruit_folder, image, openvino_folder, small_network
from tests.html_page import Page
from tests.service import bare_environment
from tests.wait import until
from worker.contract.toml_reader import ModelError

COLOURS = {"cat": (200, 60, 60), "狗": (60, 200, 60), "Tea": (60, 60, 200)}  # what the model takes each class for
EACH = 4
TRUNCATED = b"\xff\xd8\xff\xe0 and no more"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    openvino_folder(path / "bright")
    fruit_folder(path / "fruit")
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder for each class, named in either language; one cat looks like tea."""
    path = tmp_path / "images"
    for name, (red, green, blue) in COLOURS.items():
        (path / name).mkdir(parents=True)
        for turn in range(EACH):
            image((red - turn, green - turn, blue - turn)).save(path / name / f"{turn}.png")
    image(COLOURS["Tea"]).save(path / "cat/0.png")
    return path


def make(models: Path, out: Path, name: str, images: Path | str) -> subprocess.CompletedProcess[str]:
    """Run it in this process, but for those that answer."""
    return in_process.make(*command(models, out, name, images)[2:])


def by_make(models: Path, out: Path, name: str, images: Path | str) -> subprocess.CompletedProcess[str]:
    words = command(models, out, name, images)
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=bare_environment())


def command(models: Path, out: Path, name: str, images: Path | str) -> list[str]:
    arguments = [f"NAME={name}", f"IMAGES={images}", f"MODELS={models}", f"OUT={out}"]
    return ["make", "--no-print-directory", "evaluate", *arguments]


def evaluated(
    models: Path, out: Path, name: str, images: Path, ran: Callable[..., subprocess.CompletedProcess[str]] = make
) -> tuple[dict[str, Any], list[str]]:
    """What the JSON file says, and the lines of the table."""
    done = ran(models, out, name, images)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert sorted(path.name for path in out.iterdir()) == sorted([JSON, PAGE])
    return json.loads((out / JSON).read_text()), done.stdout.splitlines()


def refused(models: Path, out: Path, name: str, images: Path | str) -> str:
    """The one line with which it refuses; nothing may be left beside what was there."""
    before = sorted(out.parent.rglob("*"))
    done = make(models, out, name, images)
    assert done.returncode != 0, done.stdout
    assert sorted(out.parent.rglob("*")) == before
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert len(said) == 1, done.stderr
    return said[0]


def test_folders_and_a_csv_file_over_the_earlier_evaluation_give_the_same_figures(
    models: Path, images: Path, tmp_path: Path
) -> None:
    told, lines = evaluated(models, tmp_path / "reports/first", "bright", images, by_make)
    assert told["images"] == {"evaluated": 12, "broken": 0, "not_images": 0, "of_unknown_classes": 0}
    assert (told["top_1"], told["top_5"]) == (11 / 12, None)
    assert [(one["images"], one["answered"], one["right"]) for one in told["classes"]] == [
        (4, 3, 3), (4, 4, 4), (4, 5, 4),
    ]  # fmt: skip
    assert told["confusions"] == [{"truth": 0, "answered": 2, "images": 1}]
    (mistake,) = told["mistakes"]
    assert (mistake["file"], mistake["truth"], mistake["answered"]) == ("cat/0.png", 0, 2)
    assert told["engine"]["name"] == "openvino"
    assert told["processes"] == min(len(physical_cores(read_hardware().cpus)), 12)
    assert lines[0] == "-- evaluating bright by openvino in f32 on 12 images"
    assert "top-1              91.7%" in lines
    assert "4       75.0%   100.0%     猫 cat" in lines
    assert lines[-1] == f"written: {tmp_path}/reports/first/{PAGE}, {tmp_path}/reports/first/{JSON}"
    assert len(re.findall(r'<img src="data:image/jpeg;base64,', (tmp_path / "reports/first" / PAGE).read_text())) == 1

    rows = [f"{path.relative_to(images)},{path.parent.name}" for path in sorted(images.rglob("*.png"))]
    (images / "labels.csv").write_text("\n".join(["file,label", *rows]), encoding="utf-8")
    out = tmp_path / "reports/first"
    before = (out / JSON).stat().st_mtime_ns
    by_table, _ = evaluated(models, out, "bright", images / "labels.csv")
    assert (out / JSON).stat().st_mtime_ns > before
    for key in ("top_1", "classes", "confusions", "mistakes", "calibration_error", "unsure_below"):
        assert by_table[key] == told[key]


def test_what_cannot_be_evaluated_is_listed_and_counted(models: Path, images: Path, tmp_path: Path) -> None:
    (images / "cat/broken.jpg").write_bytes(TRUNCATED)
    (images / "cat/empty.png").write_bytes(b"")
    (images / "cat/page.png").write_text("<html>404</html>")
    (images / "cat/notes.txt").write_text("not an image")
    (images / "cat/Thumbs.db").write_bytes(b"clutter")
    with open(os.fsencode(images) + b"/cat/\xc3\x28.jpg", "wb") as file:  # a name that is not UTF-8
        file.write(TRUNCATED)
    (images / "horse").mkdir()
    image(COLOURS["cat"]).save(images / "horse/a.png")
    image(COLOURS["cat"]).save(images / "alone.png")
    told, lines = evaluated(models, tmp_path / "out", "bright", images)
    assert told["images"] == {"evaluated": 12, "broken": 4, "not_images": 1, "of_unknown_classes": 2}
    assert [one["file"] for one in told["broken"]] == [
        "cat/broken.jpg",
        "cat/empty.png",
        "cat/page.png",
        "cat/\udcc3(.jpg",
    ]
    assert [(one["class"], one["images"]) for one in told["unknown_classes"]] == [("", 1), ("horse", 1)]
    text = (tmp_path / "out" / PAGE).read_text()
    for title in (
        "classes that the model does not have, 2 images left out (2)",
        "broken images, left out (4)",
        "other files, left out (1)",
    ):
        assert title in lines
        assert title[1:] in text
    assert "   cat/empty.png: found 0 bytes, needed those of an image: send the whole file" in lines
    assert "cat/\\udcc3(.jpg" in text


def test_a_model_with_attributes_is_evaluated_on_the_classes_that_compete(
    models: Path, images: Path, tmp_path: Path
) -> None:
    for before, after in zip(COLOURS, ("りんご", "pear", "ripe"), strict=True):
        (images / before).rename(images / after)
    told, _ = evaluated(models, tmp_path / "out", "fruit", images)
    assert [one["index"] for one in told["classes"]] == [0, 1, 2]
    assert told["top_1"] == 7 / 8
    (attribute,) = told["unknown_classes"]
    assert (attribute["class"], attribute["images"]) == ("ripe", 4)
    assert attribute["reason"] == "an attribute of the model, not one of its main classes"


def test_what_is_no_earlier_evaluation_is_not_replaced(models: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "place/out"
    out.mkdir(parents=True)
    (out / "thesis.txt").write_text("years of work")
    assert refused(models, out, "bright", images) == (
        f"!! OUT: {out}: found thesis.txt, which is not part of an evaluation: choose another folder with OUT="
    )
    (out / "thesis.txt").unlink()
    (out / JSON).write_text("{}")
    assert refused(models, out, "bright", images) == (
        f"!! OUT: {out}: found {JSON}, which is not part of an evaluation: choose another folder with OUT="
    )
    assert "Not a directory" in refused(models, out / JSON, "bright", images)


def test_what_cannot_be_evaluated_at_all_is_refused_in_one_line(models: Path, images: Path, tmp_path: Path) -> None:
    out, bare, foreign, broken = (tmp_path / name for name in ("home/out", "bare", "foreign", "broken"))
    (tmp_path / "home").mkdir()
    for folder in (bare / "cat", foreign / "horse", foreign / "cow", broken / "cat"):
        folder.mkdir(parents=True)
    for folder in (foreign / "horse", foreign / "cow"):
        image(COLOURS["cat"]).save(folder / "a.png")
    (broken / "cat/a.jpg").write_bytes(TRUNCATED)
    (bare / "cat/notes.txt").write_text("not an image")
    (bare / "labels.csv").write_text("file,label\n")
    assert refused(models, out, "bright", "") == (
        "!! IMAGES: found nothing, needed a folder with a subfolder for each class, or a CSV file of file,label"
    )
    assert refused(models, out, "bright", "/no/such/folder") == (
        "!! IMAGES: /no/such/folder: no such folder or file: needed a folder for each class, or a CSV file"
    )
    assert refused(models, out, "bright", bare) == (
        f"!! IMAGES: {bare}: found no labelled images, but 2 other files: needed a folder for each class, with its "
        f"images inside, or a CSV file of file,label, such as IMAGES={bare}/labels.csv"
    )
    assert refused(models, out, "bright", foreign) == (
        f"!! IMAGES: {foreign}: found the classes cow, horse, none of which bright has: "
        "needed some of 猫 cat, 狗 dog, 茶 tea"
    )
    assert refused(models, out, "bright", broken).startswith(
        f"!! IMAGES: {broken}: found no image that can be evaluated, cat/a.jpg: found JPEG data that cannot be decoded"
    )
    assert refused(models, out, "right", images).startswith("!! NAME: found 'right', needed one of bright, ")
    assert refused(models, out, "", images).startswith("!! NAME: found nothing, needed one of bright, fruit")


def test_a_damaged_model_is_refused_before_anything_is_answered(tmp_path: Path, images: Path) -> None:
    folder = openvino_folder(tmp_path / "models/bright")
    weights = folder / "model.bin"
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert "model.bin: sha256 is " in refused(tmp_path / "models", tmp_path / "out", "bright", images)


def test_two_models_are_compared_on_the_same_images(models: Path, images: Path, tmp_path: Path) -> None:
    openvino_folder(models / "dull", network=small_network(), name="dull")
    (images / "cat/broken.jpg").write_bytes(TRUNCATED)
    out = tmp_path / "both"
    done = by_make(models, out, "bright,dull", images)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == [COMPARISON_PAGE, COMPARISON_JSON]
    report = json.loads((out / COMPARISON_JSON).read_text())
    assert report["images"] == 12
    (pair,) = report["pairs"]
    right = {"bright": 11, "dull": pair["both_right"] + pair["only_second_right"]}
    assert {each["name"]: each["accuracy"] for each in report["models"]} == {
        name: count / 12 for name, count in right.items()
    }
    assert pair["both_right"] + pair["only_first_right"] == 11
    assert len(report["differing"]) == pair["only_first_right"] + pair["only_second_right"]
    low, high = pair["interval"]
    assert low <= pair["difference"] <= high
    assert f"bright against dull on 12 images: {images}" in done.stdout
    page = Page((out / COMPARISON_PAGE).read_text())
    assert len([tag for tag, _ in page.elements if tag == "img"]) == len(report["differing"])
    assert "is not part of an evaluation" in refused(models, out, "bright", images)


def test_what_cannot_be_compared_is_refused(models: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    out = tmp_path / "home/out"
    assert refused(models, out, "bright,bright", images) == (
        "!! NAME: found bright twice, needed different models to compare"
    )
    assert refused(models, out, "bright,", images) == (
        "!! NAME: found 'bright,', needed names with single commas between, such as a,b"
    )
    assert refused(models, out, "bright,none", images).startswith("!! NAME: found 'none', needed one of bright, ")
    assert "none of which fruit has" in refused(models, out, "bright,fruit", images)
    assert "is not part of a comparison" in refused(models, images, "bright,fruit", images)


def beneath(parent: int) -> dict[int, str]:
    """The processes that descend from `parent`, with what they run."""
    rows = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    known = {int(line.split(None, 2)[0]): line.split(None, 2)[1:] for line in rows.splitlines()}
    found, size = {parent}, 0
    while len(found) > size:
        size = len(found)
        found |= {pid for pid, (ppid, _) in known.items() if int(ppid) in found}
    return {pid: known[pid][1] for pid in found if pid in known}


def test_sigterm_ends_every_process_and_leaves_nothing(models: Path, images: Path, tmp_path: Path) -> None:
    large = image(COLOURS["cat"], (2000, 2000))
    large.save(images / "cat/large.png")
    for turn in range(200):
        (images / f"cat/large{turn}.png").hardlink_to(images / "cat/large.png")
    (tmp_path / "home").mkdir()
    options = {"cwd": ROOT, "env": bare_environment(), "start_new_session": True, "text": True}
    words = command(models, tmp_path / "home/out", "bright", images)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options) as process:  # type: ignore[call-overload]
        assert any("images/s" in line for line in process.stdout)
        started = beneath(process.pid)
        os.killpg(process.pid, signal.SIGTERM)
        rest = process.communicate()[0]
    assert process.returncode != 0
    assert "Traceback" not in rest
    tools = {pid: line for pid, line in started.items() if str(SERVE.python) in line}
    assert len(tools) > 2  # the tool, and a process on each core
    until("they have ended", lambda: not any(Path(f"/proc/{pid}").exists() for pid in tools))
    assert list((tmp_path / "home").iterdir()) == []


# --- The processes that answer ----------------------------------------------------------------------------------------


def one_core() -> list[Placement]:
    return [Placement(all_cpus().cpus[:1])]


def best(found: dict[int, Answer | str]) -> dict[int, int | str]:
    return {turn: answer.best[0] if isinstance(answer, Answer) else answer for turn, answer in found.items()}


def test_an_image_that_kills_its_process_is_left_out_and_the_others_are_answered(models: Path, images: Path) -> None:
    files = [images / "cat/1.png", images / "狗/1.png", images / "Tea/1.png"]

    def kill() -> None:
        for process in active_children():
            os.kill(process.pid or 0, signal.SIGKILL)

    found = best(dict(answers(models / "bright", files, one_core(), kill)))
    assert found == {0: "killed by signal SIGKILL; is there enough memory?", 1: 1, 2: 2}
    assert active_children() == []


def test_an_image_that_hangs_is_left_out_and_the_others_are_answered(
    models: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "IMAGE_TIMEOUT_S", 30.0)  # a busy machine answers the others within it
    files = [images / "cat/1.png", images / "狗/1.png", images / "Tea/1.png"]

    def stop() -> None:
        for process in active_children():
            os.kill(process.pid or 0, signal.SIGSTOP)

    found = best(dict(answers(models / "bright", files, one_core(), stop)))
    assert found == {0: "no answer within 30 s", 1: 1, 2: 2}
    assert active_children() == []


def test_a_model_that_cannot_be_loaded_ends_it(tmp_path: Path, images: Path) -> None:
    folder = openvino_folder(tmp_path / "bright")
    (folder / "model.xml").write_text("<net/>")
    with pytest.raises(ModelError):
        dict(answers(folder, [images / "cat/1.png"], one_core(), lambda: None))
    assert active_children() == []

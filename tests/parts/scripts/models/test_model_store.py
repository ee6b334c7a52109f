"""The model folders of this machine: which there are, what is said of them, and which count as verified."""

import re
from pathlib import Path

import pytest

from scripts.models import model_store as library
from scripts.models.tools.rewrite import rewritten
from tests.unit.scripts.models.test_model_store import PHOTOS, clustered
from worker.contract.engine import EngineSpec, Measurement, Scaling

Capture = pytest.CaptureFixture[str]


def test_the_list_has_a_line_for_every_folder(models: Path, capsys: Capture) -> None:
    library.record(models, models / "copy", good=True)
    library.show(models, clustered(photos=PHOTOS, other=models / "copy"), "")
    said = capsys.readouterr()
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[0] == [*library.COLUMNS]
    size = library.megabytes(sum(path.stat().st_size for path in library.files(PHOTOS))).split()
    version = library.read_summary(PHOTOS).version
    engine = ["Apache-2.0", "openvino", "openvino", "int8", "not", "measured"]
    told = [version, *size, *engine, "224", "x", "224", "1000", "en+zh"]
    texts = [*library.read_summary(PHOTOS).description.values()]
    assert rows[1:4] == [
        ["copy", *told, "as", "other", "yes"],
        ["empty", "0.0", "MB", "no", "no"],
        ["photos", *told, "yes", "no"],
    ]
    assert said.out.splitlines()[4:] == [f"{name}: {text}" for name in ("copy", "photos") for text in texts]
    assert said.err == f"!! empty: {models}/empty/model.toml: No such file or directory\n"


def test_all_that_was_measured_of_one_model_is_shown(models: Path, capsys: Capture) -> None:
    manifest = models / "copy/model.toml"
    spec = EngineSpec(
        "openvino", "int8", (1, 4), scaling=(Scaling("old cpu", 2, 17.25, 6.125),),
        measured=(
            Measurement("old cpu", "openvino", "int8", (1, 4), 12.34, 0.995, 0.01234, True),
            Measurement("gpu", "openvino", "int8", (1,), 3.0, 0.5, 0.75, False),
            Measurement("gpu", "openvino", "bf16", (1,), 2.0, 1.0, 0.0, True, quick=True),
        ),
    )  # fmt: skip
    manifest.write_text(rewritten(manifest.read_text(), "", {}, spec))
    library.show(models, clustered(photos=PHOTOS), "copy")
    said = [re.split("  +", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert said[4:] == [
        [""],
        ["machine", "engine", "precision", "images/s", "batch sizes", "alike", "largest difference"],
        ["old cpu", "openvino", "int8", "12.3", "1, 4", "99.5%", "0.0123", "chosen"],
        ["gpu", "openvino", "int8", "3.0", "1", "50.0%", "0.7500", "answers differ too often"],
        ["gpu", "openvino", "bf16", "2.0", "1", "100.0%", "0.0000", "chosen, measured quickly"],
        [""],
        ["machine", "cores a worker", "images/s of all workers", "ms an image"],
        ["old cpu", "2", "17.2", "6.12"],
    ]


def test_a_model_that_was_not_measured_says_so(models: Path, capsys: Capture) -> None:
    library.show(models, clustered(photos=PHOTOS), "copy")
    assert capsys.readouterr().out.endswith("\n\nnot measured: `make model-prepare NAME=...` does it\n")

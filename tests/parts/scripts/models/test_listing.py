"""The printed list of model folders, and the measurements of one."""

import re
from pathlib import Path

import pytest

from scripts.base.console import megabytes
from scripts.models import listing
from scripts.models.summary import read_summary
from scripts.models.tools.rewrite import rewritten
from scripts.models.verified import record
from tests.unit.scripts.models.test_model_store import PHOTOS, cluster_serving
from worker.contract.decoding import DecodingMeasurement
from worker.contract.engine import EngineSpec, Measurement, Scaling
from worker.contract.litter import own_files

Capture = pytest.CaptureFixture[str]


def test_the_list_has_a_line_for_every_folder(models: Path, capsys: Capture) -> None:
    record(models, models / "copy", good=True)
    listing.show(models, cluster_serving(photos=PHOTOS, other=models / "copy"), "")
    output = capsys.readouterr()
    rows = [line.split() for line in output.out.splitlines()]
    assert rows[0] == [*listing.COLUMNS]
    size = megabytes(sum(path.stat().st_size for path in own_files(PHOTOS))).split()
    version = read_summary(PHOTOS).version
    engine = ["Apache-2.0", "openvino", "openvino", "int8", "not", "measured"]
    summary = [version, *size, *engine, "224", "x", "224", "1000", "en+zh"]
    texts = [*read_summary(PHOTOS).description.values()]
    assert rows[1:4] == [
        ["copy", *summary, "as", "other", "yes"],
        ["empty", "0.0", "MB", "no", "no"],
        ["photos", *summary, "yes", "no"],
    ]
    assert output.out.splitlines()[4:] == [f"{name}: {text}" for name in ("copy", "photos") for text in texts]
    assert output.err == f"!! empty: {models}/empty/model.toml: No such file or directory\n"


def test_all_measurements_of_one_model_are_shown(models: Path, capsys: Capture) -> None:
    manifest = models / "copy/model.toml"
    spec = EngineSpec(
        "openvino", "int8", (1, 4), scaling=(Scaling("old cpu", 2, 17.25, 6.125),), decode="exact",
        decoding=(DecodingMeasurement("small", 50, 1.0, 0.0), DecodingMeasurement("large", 50, 0.96, 0.3)),
        measured=(
            Measurement("old cpu", "openvino", "int8", (1, 4), 12.34, 0.995, 0.01234, True),
            Measurement("gpu", "openvino", "int8", (1,), 3.0, 0.5, 0.75, False),
            Measurement("gpu", "openvino", "bf16", (1,), 2.0, 1.0, 0.0, True, quick=True),
        ),
    )  # fmt: skip
    manifest.write_text(rewritten(manifest.read_text(), "", {}, spec))
    listing.show(models, cluster_serving(photos=PHOTOS), "copy")
    output = [re.split("  +", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert output[4:] == [
        [""],
        ["machine", "engine", "precision", "images/s", "batch sizes", "agreement", "largest difference"],
        ["old cpu", "openvino", "int8", "12.3", "1, 4", "99.5%", "0.0123", "chosen"],
        ["gpu", "openvino", "int8", "3.0", "1", "50.0%", "0.7500", "answers differ too often"],
        ["gpu", "openvino", "bf16", "2.0", "1", "100.0%", "0.0000", "chosen, measured quickly"],
        [""],
        ["machine", "cores per worker", "images/s of all workers", "ms per image"],
        ["old cpu", "2", "17.2", "6.12"],
        [""],
        ["scaled against exact decoding", "images", "agreement", "largest difference"],
        ["small images", "50", "100.0%", "0.0000"],
        ["large images", "50", "96.0%", "0.3000", "answers differ too often"],
        [""],
        ["decode: exact, as measured"],
    ]
    manifest.write_text(manifest.read_text().replace("[input]", '[input]\ndecode = "scaled"'))
    listing.show(models, cluster_serving(photos=PHOTOS), "copy")
    assert capsys.readouterr().out.endswith("\n\ndecode: scaled, as [input] of model.toml says\n")


def test_a_model_without_measurements_is_reported_as_such(models: Path, capsys: Capture) -> None:
    listing.show(models, cluster_serving(photos=PHOTOS), "copy")
    assert capsys.readouterr().out.endswith("\n\nnot measured: run `make model-prepare NAME=...`\n")

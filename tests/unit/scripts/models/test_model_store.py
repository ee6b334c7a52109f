"""The model folders of this machine: the list, their summaries, and which count as verified."""

import json
import shutil
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster, parse_cluster
from scripts.models import model_store
from scripts.models.model_store import ModelSummary, StoredModel
from worker.contract.engine import EngineSpec, Measurement
from worker.contract.engines import ENGINES

PHOTOS = ROOT / "worker/photos"
Capture = pytest.CaptureFixture[str]


def cluster_serving(**folders: Path) -> Cluster:
    """A cluster that serves `folders` by name; `__` stands for "-"."""
    tables = (f'[[models]]\nname = "{name.replace("__", "-")}"\nfolder = "{path}"\n' for name, path in folders.items())
    return parse_cluster("".join(tables), "c.toml")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two model folders: a copy of `photos`, and a folder without a model."""
    shutil.copytree(PHOTOS, tmp_path / "models/copy")
    (tmp_path / "models/empty").mkdir()
    (tmp_path / "models/.copy.new").mkdir()
    (tmp_path / "models/notes.txt").write_text("not a folder")
    return tmp_path / "models"


def test_the_folders_in_models_come_first_and_none_is_listed_twice(models: Path) -> None:
    cluster = cluster_serving(photos=PHOTOS, one=models / "copy", two=models / "../models/copy")
    assert model_store.entries(models, cluster) == [
        StoredModel("copy", models / "copy", ("one", "two")),
        StoredModel("empty", models / "empty"),
        StoredModel("photos", PHOTOS, ("photos",)),
    ]


def test_a_missing_models_folder_counts_as_empty(tmp_path: Path) -> None:
    assert model_store.entries(tmp_path / "none", cluster_serving(photos=PHOTOS)) == [
        StoredModel("photos", PHOTOS, ("photos",))
    ]


def test_a_model_is_selected_by_its_folder_or_by_a_served_name() -> None:
    stored = [StoredModel("a", Path("/a"), ("first", "second")), StoredModel("b", Path("/b"))]
    assert model_store.select(stored, "") == stored
    assert model_store.select(stored, "a") == model_store.select(stored, "second") == stored[:1]
    with pytest.raises(CommandError) as caught:
        model_store.select(stored, "c")
    assert caught.value.lines == ("NAME: found 'c', needed one of a, b, first, second",)


def test_the_summary_is_read_from_model_toml() -> None:
    summary = model_store.read_summary(PHOTOS)
    engine = EngineSpec("openvino", "int8", (1, 4))
    assert (summary.version, summary.loader, summary.engine, summary.fault) == ("1", "openvino", engine, "")
    assert (summary.labels, summary.input, summary.licence) == ({"en": 1000, "zh": 1000}, (224, 224), "Apache-2.0")
    assert summary.description.keys() == {"en", "zh"}


def test_the_summary_of_an_unreadable_folder_has_the_fault(models: Path) -> None:
    assert model_store.read_summary(models / "empty").fault == f"{models}/empty/model.toml: No such file or directory"
    (models / "empty/model.toml").write_text('version = "1"\n')
    assert model_store.read_summary(models / "empty").fault == (
        f"{models}/empty/model.toml: cannot be read as a model folder: KeyError('output')"
    )


def test_needs_and_speed_are_those_of_the_choice_for_the_machine_kind() -> None:
    rows = (
        Measurement("fast", "torch", "fp16", (1,), 900.0, 1.0, 0.0, True),
        Measurement("slow", "openvino", "int8", (1,), 9.0, 1.0, 0.0, True),
        Measurement("slow", "torch", "f32", (1,), 3.0, 1.0, 0.0, False),
    )
    summary = ModelSummary(engine=EngineSpec("torch", "f32", (1,), measured=rows))
    machines = ("fast", "slow", "other")
    assert [summary.needs(machine).torch for machine in machines] == [True, False, True]
    assert [summary.images_per_s(machine) for machine in machines] == [900.0, 9.0, None]
    assert not ModelSummary(fault="unreadable").needs("fast").torch


def test_an_engine_that_a_worker_would_refuse_is_a_fault(models: Path) -> None:
    manifest = models / "copy/model.toml"
    manifest.write_text(manifest.read_text().replace('name = "openvino"\nprecision', 'name = "fast"\nprecision'))
    assert model_store.read_summary(models / "copy").fault == (
        f"{manifest}: engine/name: needs one of {', '.join(ENGINES)}, found 'fast'"
    )


@pytest.mark.parametrize("change", ["byte", "name", "more", "less"])
def test_a_folder_counts_as_verified_until_anything_in_it_changes(models: Path, change: str) -> None:
    folder = models / "copy"
    assert not model_store.is_verified(models, folder)
    model_store.record(models, folder, good=True)
    assert model_store.is_verified(models, folder)
    weights = folder / "model.bin"
    if change == "byte":
        weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    elif change == "name":
        weights.rename(folder / "other.bin")
    elif change == "more":
        (folder / "more").touch()
    else:
        weights.unlink()
    assert not model_store.is_verified(models, folder)


def test_only_a_folder_that_fails_loses_its_record(models: Path) -> None:
    for folder in (models / "copy", PHOTOS):
        model_store.record(models, folder, good=True)
    model_store.record(models, models / "copy", good=False)
    assert not model_store.is_verified(models, models / "copy")
    assert model_store.is_verified(models, PHOTOS)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 7}'])
def test_unreadable_records_count_as_none(models: Path, text: str) -> None:
    (models / model_store.RECORDS_FILE).write_text(text)
    assert not model_store.is_verified(models, PHOTOS)
    model_store.record(models, PHOTOS, good=True)
    assert model_store.is_verified(models, PHOTOS)


def test_unwritable_records_cause_a_warning(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "models").write_text("a file")
    model_store.record(tmp_path / "models", PHOTOS, good=True)
    assert capsys.readouterr().err == (
        f"!! {tmp_path}/models: File exists: the result cannot be recorded for `make models`\n"
    )


def test_records_are_stored_under_the_resolved_path(models: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(models / "copy")
    model_store.record(models, tmp_path / "link", good=True)
    assert list(json.loads((models / model_store.RECORDS_FILE).read_text())) == [str(models / "copy")]

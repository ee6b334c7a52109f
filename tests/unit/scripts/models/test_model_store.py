"""The model folders of this machine: which there are, what is said of them, and which count as verified."""

import json
import shutil
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster, parse_cluster
from scripts.models import model_store as library
from scripts.models.model_store import ModelSummary, StoredModel
from worker.contract.engine import EngineSpec, Measurement

PHOTOS = ROOT / "worker/photos"
Capture = pytest.CaptureFixture[str]


def clustered(**folders: Path) -> Cluster:
    """A cluster that serves `folders` by name; `__` stands for "-"."""
    tables = (f'[[models]]\nname = "{name.replace("__", "-")}"\nfolder = "{path}"\n' for name, path in folders.items())
    return parse_cluster("".join(tables), "c.toml")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A library of two: a copy of `photos`, and a folder that is no model."""
    shutil.copytree(PHOTOS, tmp_path / "models/copy")
    (tmp_path / "models/empty").mkdir()
    (tmp_path / "models/.copy.new").mkdir()
    (tmp_path / "models/notes.txt").write_text("not a folder")
    return tmp_path / "models"


def test_the_folders_of_the_library_come_first_and_none_comes_twice(models: Path) -> None:
    cluster = clustered(photos=PHOTOS, one=models / "copy", two=models / "../models/copy")
    assert library.entries(models, cluster) == [
        StoredModel("copy", models / "copy", ("one", "two")),
        StoredModel("empty", models / "empty"),
        StoredModel("photos", PHOTOS, ("photos",)),
    ]


def test_a_library_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert library.entries(tmp_path / "none", clustered(photos=PHOTOS)) == [StoredModel("photos", PHOTOS, ("photos",))]


def test_a_model_is_chosen_by_its_folder_or_by_the_name_it_is_served_under() -> None:
    found = [StoredModel("a", Path("/a"), ("first", "second")), StoredModel("b", Path("/b"))]
    assert library.chosen(found, "") == found
    assert library.chosen(found, "a") == library.chosen(found, "second") == found[:1]
    with pytest.raises(CommandError) as refusal:
        library.chosen(found, "c")
    assert refusal.value.lines == ("NAME: found 'c', needed one of a, b, first, second",)


def test_what_model_toml_says_is_read() -> None:
    facts = library.read_summary(PHOTOS)
    engine = EngineSpec("openvino", "int8", (1, 4))
    assert (facts.version, facts.loader, facts.engine, facts.fault) == ("1", "openvino", engine, "")
    assert (facts.labels, facts.input, facts.licence) == ({"en": 1000, "zh": 1000}, (224, 224), "Apache-2.0")
    assert facts.description.keys() == {"en", "zh"}


def test_a_folder_that_cannot_be_read_says_why(models: Path) -> None:
    assert library.read_summary(models / "empty").fault == f"{models}/empty/model.toml: No such file or directory"
    (models / "empty/model.toml").write_text('version = "1"\n')
    assert library.read_summary(models / "empty").fault == (
        f"{models}/empty/model.toml: cannot be read as a model folder: KeyError('output')"
    )


def test_what_runs_is_what_was_chosen_for_that_kind_of_machine() -> None:
    rows = (
        Measurement("fast", "torch", "fp16", (1,), 900.0, 1.0, 0.0, True),
        Measurement("slow", "openvino", "int8", (1,), 9.0, 1.0, 0.0, True),
        Measurement("slow", "torch", "f32", (1,), 3.0, 1.0, 0.0, False),
    )
    facts = ModelSummary(engine=EngineSpec("torch", "f32", (1,), measured=rows))
    machines = ("fast", "slow", "other")
    assert [facts.needs(machine).torch for machine in machines] == [True, False, True]
    assert [facts.images_per_s(machine) for machine in machines] == [900.0, 9.0, None]
    assert not ModelSummary(fault="unreadable").needs("fast").torch


def test_what_a_worker_would_refuse_in_the_engine_is_a_fault(models: Path) -> None:
    manifest = models / "copy/model.toml"
    manifest.write_text(manifest.read_text().replace('name = "openvino"\nprecision', 'name = "fast"\nprecision'))
    assert library.read_summary(models / "copy").fault == (
        f"{manifest}: engine/name: needs one of torch, openvino, onnxruntime, found 'fast'"
    )


@pytest.mark.parametrize("change", ["byte", "name", "more", "less"])
def test_a_verified_folder_stays_so_until_anything_in_it_changes(models: Path, change: str) -> None:
    folder = models / "copy"
    assert not library.is_verified(models, folder)
    library.record(models, folder, good=True)
    assert library.is_verified(models, folder)
    before = folder / "model.bin"
    if change == "byte":
        before.write_bytes(before.read_bytes()[:-1] + b"!")
    elif change == "name":
        before.rename(folder / "other.bin")
    elif change == "more":
        (folder / "more").touch()
    else:
        before.unlink()
    assert not library.is_verified(models, folder)


def test_a_folder_that_fails_loses_its_stamp_and_others_keep_theirs(models: Path) -> None:
    for folder in (models / "copy", PHOTOS):
        library.record(models, folder, good=True)
    library.record(models, models / "copy", good=False)
    assert not library.is_verified(models, models / "copy")
    assert library.is_verified(models, PHOTOS)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 7}'])
def test_stamps_that_cannot_be_read_are_no_stamps(models: Path, text: str) -> None:
    (models / library.STAMPS).write_text(text)
    assert not library.is_verified(models, PHOTOS)
    library.record(models, PHOTOS, good=True)
    assert library.is_verified(models, PHOTOS)


def test_stamps_that_cannot_be_written_are_a_warning(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "models").write_text("a file")
    library.record(tmp_path / "models", PHOTOS, good=True)
    assert capsys.readouterr().err == (
        f"!! {tmp_path}/models: File exists: what was found cannot be noted for `make models`\n"
    )


def test_stamps_are_kept_by_the_folders_own_path(models: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(models / "copy")
    library.record(models, tmp_path / "link", good=True)
    assert list(json.loads((models / library.STAMPS).read_text())) == [str(models / "copy")]

"""What model-add refuses before it sets anything up, and what it mends that a killed one left."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.models import add as model_add
from scripts.models.add import add
from scripts.models.options import AddModelOptions


def refused(options: AddModelOptions) -> list[str]:
    with pytest.raises(CommandError) as refusal:
        add(options)
    return list(refusal.value.lines)


def test_every_fault_of_the_options_is_named_at_once_and_nothing_is_made(tmp_path: Path) -> None:
    options = AddModelOptions(
        models=tmp_path / "models",
        name="Big Model",
        labels=f"en:/no/en.txt,zh:{tmp_path}",
        golden="/no.jpg",
        channels="grey",
        prepare="slowly",
    )
    assert refused(options) == [
        'NAME: found \'Big Model\', needed up to 63 lower-case letters, digits, ".", "_" or "-", '
        "the first a letter or digit",
        "SOURCE: found nothing, needed the path of the model's file or folder",
        "LABELS: en: /no/en.txt: no such file",
        f"LABELS: zh: {tmp_path}: no such file",
        "GOLDEN: /no.jpg: no such file",
        "CHANNELS: found 'grey', needed how many each image has: 1 for grey, 3 for RGB, or another number",
        "PREPARE: found 'slowly', needed 0 or quick, or nothing to measure thoroughly",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "copy").mkdir(parents=True)
    assert refused(AddModelOptions(models=models, name="copy", source="/no/model.pth")) == [
        f"{models}/copy: is there already: give another NAME=, or FORCE=1 to replace it",
        "SOURCE: /no/model.pth: no such file or folder",
    ]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """One model with a file that tells which it is."""
    make(tmp_path / "mine", "first")
    return tmp_path


def make(folder: Path, mark: str) -> Path:
    folder.mkdir()
    (folder / "mark").write_text(mark)
    return folder


def found(models: Path) -> dict[str, str]:
    return {folder.name: (folder / "mark").read_text() for folder in models.iterdir()}


def test_a_new_folder_takes_the_place_of_an_old_one(models: Path) -> None:
    model_add.install_folder(make(models / ".mine.new", "second"), models / "mine")
    assert found(models) == {"mine": "second"}


def test_a_model_is_back_where_a_replacement_was_killed_half_way(models: Path) -> None:
    (models / "mine").rename(models / ".mine.old")
    make(models / ".mine.new", "second")
    model_add._clear(models)
    assert found(models) == {"mine": "first"}


def test_the_old_model_goes_where_a_replacement_was_killed_at_its_end(models: Path) -> None:
    make(models / ".mine.old", "zeroth")
    model_add._clear(models)
    assert found(models) == {"mine": "first"}


def test_a_folder_that_another_model_add_works_in_is_left_alone(models: Path) -> None:
    with model_add.staging_folder(models / "next") as folder:
        (folder / "mark").write_text("half")
        model_add._clear(models)
        assert found(models) == {"mine": "first", ".next.new": "half"}
        with pytest.raises(CommandError) as refusal, model_add.staging_folder(models / "next"):
            pass
    assert refusal.value.lines == (f"{folder}: another model-add makes this model now: wait for it",)
    assert found(models) == {"mine": "first"}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(CommandError) as refusal, model_add.staging_folder(tmp_path / "models/next"):
        pass
    assert refusal.value.lines == (f"{tmp_path}/models: File exists: needed a folder to write in, MODELS=",)

"""Option faults that model-add reports before it starts, and how it cleans up after a killed one."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.models import add as model_add
from scripts.models.add import add
from scripts.models.options import AddModelOptions


def error_lines(options: AddModelOptions) -> list[str]:
    with pytest.raises(CommandError) as caught:
        add(options, options.models / "run.lock")
    return list(caught.value.lines)


def test_all_faults_are_reported_at_once_and_nothing_is_created(tmp_path: Path) -> None:
    options = AddModelOptions(
        models=tmp_path / "models",
        name="Big Model",
        labels=f"en:/no/en.txt,zh:{tmp_path}",
        golden="/no.jpg",
        channels="grey",
        prepare="slowly",
    )
    assert error_lines(options) == [
        'NAME: found \'Big Model\', needed up to 63 lower-case letters, digits, ".", "_" or "-", '
        "the first a letter or digit",
        "SOURCE: found nothing, needed the path of the model's file or folder",
        "LABELS: en: /no/en.txt: no such file",
        f"LABELS: zh: {tmp_path}: no such file",
        "GOLDEN: /no.jpg: no such file",
        "CHANNELS: found 'grey', needed the number of channels: 1 for grey, 3 for RGB, or another number",
        "PREPARE: found 'slowly', needed 0 or quick, or no value for a thorough measurement",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_used_name_is_refused(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "copy").mkdir(parents=True)
    assert error_lines(AddModelOptions(models=models, name="copy", source="/no/model.pth")) == [
        f"{models}/copy: exists already: choose another NAME=, or set FORCE=1 to replace it",
        "SOURCE: /no/model.pth: no such file or folder",
    ]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """One model with a file that identifies it."""
    create(tmp_path / "mine", "first")
    return tmp_path


def create(folder: Path, marker: str) -> Path:
    folder.mkdir()
    (folder / "marker").write_text(marker)
    return folder


def markers(models: Path) -> dict[str, str]:
    return {folder.name: (folder / "marker").read_text() for folder in models.iterdir()}


def test_a_new_folder_replaces_an_old_one(models: Path) -> None:
    model_add.install_folder(create(models / ".mine.new", "second"), models / "mine")
    assert markers(models) == {"mine": "second"}


def test_an_old_model_is_restored_after_its_replacement_was_killed(models: Path) -> None:
    (models / "mine").rename(models / ".mine.old")
    create(models / ".mine.new", "second")
    model_add._clean_up(models)
    assert markers(models) == {"mine": "first"}


def test_an_old_model_is_deleted_if_its_replacement_was_complete(models: Path) -> None:
    create(models / ".mine.old", "zeroth")
    model_add._clean_up(models)
    assert markers(models) == {"mine": "first"}


def test_the_staging_folder_of_a_running_model_add_is_not_touched(models: Path) -> None:
    with model_add.staging_folder(models / "next") as folder:
        (folder / "marker").write_text("half")
        model_add._clean_up(models)
        assert markers(models) == {"mine": "first", ".next.new": "half"}
        with pytest.raises(CommandError) as caught, model_add.staging_folder(models / "next"):
            pass
    assert caught.value.lines == (f"{folder}: another command is making this model: wait for it to end",)
    assert markers(models) == {"mine": "first"}


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(CommandError) as caught, model_add.staging_folder(tmp_path / "models/next"):
        pass
    assert caught.value.lines == (f"{tmp_path}/models: File exists: needed a writable folder: set MODELS=",)

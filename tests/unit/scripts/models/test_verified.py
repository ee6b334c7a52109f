"""Which model folders count as verified."""

import json
from pathlib import Path

import pytest

from scripts.models.model_store import EMBEDDED
from scripts.models.verified import RECORDS_FILE, is_verified, record


@pytest.mark.parametrize("change", ["byte", "name", "more", "less"])
def test_a_folder_counts_as_verified_until_anything_in_it_changes(models: Path, change: str) -> None:
    folder = models / "copy"
    assert not is_verified(models, folder)
    record(models, folder, good=True)
    assert is_verified(models, folder)
    weights = folder / "model.bin"
    if change == "byte":
        weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    elif change == "name":
        weights.rename(folder / "other.bin")
    elif change == "more":
        (folder / "more").touch()
    else:
        weights.unlink()
    assert not is_verified(models, folder)


def test_only_a_folder_that_fails_loses_its_record(models: Path) -> None:
    for folder in (models / "copy", EMBEDDED):
        record(models, folder, good=True)
    record(models, models / "copy", good=False)
    assert not is_verified(models, models / "copy")
    assert is_verified(models, EMBEDDED)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 7}'])
def test_unreadable_records_count_as_none(models: Path, text: str) -> None:
    (models / RECORDS_FILE).write_text(text)
    assert not is_verified(models, EMBEDDED)
    record(models, EMBEDDED, good=True)
    assert is_verified(models, EMBEDDED)


def test_unwritable_records_cause_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "models").write_text("a file")
    record(tmp_path / "models", EMBEDDED, good=True)
    assert capsys.readouterr().err == (
        f"!! {tmp_path}/models: File exists: the result cannot be recorded for `make models`\n"
    )


def test_records_are_stored_under_the_resolved_path(models: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(models / "copy")
    record(models, tmp_path / "link", good=True)
    assert list(json.loads((models / RECORDS_FILE).read_text())) == [str(models / "copy")]

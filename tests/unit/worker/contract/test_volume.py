"""The model volume's sentinel: a missing mount, another volume, and one without the model are told apart."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.worker.contract.test_settings import COMPLETE
from worker.contract.settings import Settings
from worker.contract.volume import VolumeError, check_volume, read_sentinel

SETTINGS = replace(Settings.from_env(COMPLETE), model_dir=Path("/models/photos"))


def write(folder: Path, *models: str) -> None:
    table = {"volume": "v1", "models": dict.fromkeys(models, "0123")}
    (folder / ".wanwu-volume.json").write_text(json.dumps(table))


def fault(folder: Path, identity: str = "v1") -> str:
    with pytest.raises(VolumeError) as caught:
        check_volume(replace(SETTINGS, volume=str(folder), volume_id=identity))
    return str(caught.value)


@pytest.mark.parametrize("identity", ["v1", ""])
def test_the_expected_volume_passes(tmp_path: Path, identity: str) -> None:
    write(tmp_path, "photos", "other")
    check_volume(replace(SETTINGS, volume=str(tmp_path), volume_id=identity))
    assert read_sentinel(tmp_path) == ("v1", {"photos": "0123", "other": "0123"})


def test_without_a_volume_nothing_is_checked() -> None:
    check_volume(SETTINGS)


def test_a_missing_mount_is_reported(tmp_path: Path) -> None:
    assert fault(tmp_path) == (
        f"{tmp_path}: found no .wanwu-volume.json, so the model volume is not mounted on this server: mount it"
    )


def test_an_empty_volume_is_reported(tmp_path: Path) -> None:
    write(tmp_path)
    assert fault(tmp_path) == (
        f"{tmp_path}: found the models none on the volume v1, needed photos: mount a volume that has it"
    )


def test_another_volume_is_reported(tmp_path: Path) -> None:
    write(tmp_path, "photos")
    assert fault(tmp_path, "v2") == (
        f"{tmp_path}: found the model volume v1, needed v2: mount the one that the other servers have"
    )


@pytest.mark.parametrize("text", ["", "[]", '{"volume": "v1", "models": []}'])
def test_a_sentinel_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / ".wanwu-volume.json").write_text(text)
    assert fault(tmp_path).startswith(f"{tmp_path}/.wanwu-volume.json: cannot be read: ")

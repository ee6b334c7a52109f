"""What file managers leave is told from a model's own files."""

import shutil
from pathlib import Path

import pytest

from worker.contract.litter import is_litter, litter_in, own_files

LITTER = (
    ".DS_Store", "golden/.DS_Store", "Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini",
    "@eaDir/model.bin@SynoEAStream",
    "._model.bin", ".Spotlight-V100/Store-V2/x", "__MACOSX/._m", "lost+found/#1", "model.toml~", ".model.toml.swp",
    "$RECYCLE.BIN/x", "System Volume Information/IndexerVolumeGuid", ".Trash-1000/files/m", "model.bin:Zone.Identifier",
    "#model.toml#", ".#model.toml", ".nfs000000001", ".directory",
)  # fmt: skip
OWN = (
    "model.bin",
    ".gitattributes",
    "DS_Store",
    "db.thumbs",
    "_model.bin",
    "golden/a.png",
    "swp",
    ".hidden",
    "model.tmp",
)


@pytest.mark.parametrize("name", LITTER)
def test_litter_is_recognised(name: str) -> None:
    assert is_litter(name)


@pytest.mark.parametrize("name", OWN)
def test_anything_else_is_not_litter(name: str) -> None:
    assert not is_litter(name)


def test_a_folders_own_files_are_listed_and_copied(tmp_path: Path) -> None:
    folder = tmp_path / ".Trash-1000/m"  # only names inside the folder count
    for name in (*LITTER, *OWN):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert [path.relative_to(folder).as_posix() for path in own_files(folder)] == sorted(OWN)
    shutil.copytree(folder, tmp_path / "copy", ignore=litter_in)
    assert {path.name for path in (tmp_path / "copy").rglob("*")} == {*(Path(name).name for name in OWN), "golden"}

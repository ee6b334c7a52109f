"""A folder that fills up: an image is complete once it stays as it is and no one writes it."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.client.watch import Folder, is_being_written


def test_an_image_is_complete_when_two_looks_find_it_alike_and_closed(tmp_path: Path) -> None:
    folder = Folder([tmp_path])
    assert folder.complete() == []
    name = str(tmp_path / "a.jpg")
    with open(name, "wb") as file:
        file.write(b"half")
        file.flush()
        assert folder.complete() == folder.complete() == []
        assert is_being_written(name)
    assert folder.complete() == [name]
    Path(name).write_bytes(b"half, and more")
    assert folder.complete() == []
    assert folder.complete() == [name]
    assert folder.accept(name)
    assert folder.complete() == []


def test_an_image_that_changed_while_it_was_sent_is_complete_again_later(tmp_path: Path) -> None:
    folder, path = Folder([tmp_path]), tmp_path / "a.jpg"
    path.write_bytes(b"one")
    folder.complete()
    assert folder.complete() == [str(path)]
    path.write_bytes(b"one and two")
    assert not folder.accept(str(path))
    folder.complete()
    assert folder.complete() == [str(path)]
    path.unlink()
    assert folder.accept(str(path))
    assert folder.complete() == []


def test_a_file_that_is_read_or_gone_is_not_being_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.touch()
    with path.open("rb"):
        assert not is_being_written(str(path))
    assert not is_being_written(str(tmp_path / "gone.jpg"))


def test_only_folders_are_watched(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(CommandError, match=r"a.jpg: found a file, needed a folder to watch"):
        Folder([tmp_path, tmp_path / "a.jpg"])

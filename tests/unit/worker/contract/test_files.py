"""Files that are written whole or not at all."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.full_disk import no_room
from worker.contract.files import sha256, write_atomically


def test_the_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0" * 100_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"\0" * 100_000).hexdigest()


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_file_is_replaced_readable_by_all_and_byte_for_byte(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    before = os.umask(umask)
    try:
        write_atomically(path, "万物\r\n")
    finally:
        os.umask(before)
    assert path.read_bytes() == "万物\r\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half a character: \ud800")
    assert path.read_text() == "old"
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "folder", "text")
    with pytest.raises(OSError, match="File too large") as error, no_room():
        write_atomically(path, "new")
    assert error.value.filename == str(path)
    assert path.read_text() == "old"
    assert {path_found.name for path_found in tmp_path.iterdir()} == {"a.txt", "folder"}

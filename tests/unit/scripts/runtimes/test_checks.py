"""What `make doctor` checks on one machine."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.runtimes.checks import check_writable


def test_a_folder_can_be_written_if_one_can_be_made_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert check_writable({tmp_path / "a/b": "", tmp_path: ""}) == f"{tmp_path}/a/b and {tmp_path} can be written"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    for nearest, folder, reason in (
        (tmp_path / "file", tmp_path / "file/run", "Not a directory"),
        (tmp_path / "file", tmp_path / "file", "Not a directory"),
        (Path("/proc"), Path("/proc/wanwu/run"), "No such file or directory"),
    ):
        with pytest.raises(CommandError) as error:
            check_writable({folder: "set another"})
        assert error.value.lines == (
            f"{nearest}: {reason}: needed a folder that can be written, for {folder}: set another",
        )

"""Environments where none can be made."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.host.environments import Environment
from scripts.host.venv import STAMP, ensure, fingerprint


def test_where_none_can_be_made_one_of_another_build_of_this_python_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, home = tmp_path / "lock.txt", tmp_path / ".venv/tiny"
    lock.write_text("tiny==1\n")
    home.mkdir(parents=True)
    environment = Environment(home, (lock,))
    python, packages = fingerprint(environment, nvidia=False).split(" ", 1)
    (home / STAMP).write_text(f"{python} of another build\n{packages.partition(chr(10))[2]}")
    home.with_suffix(".lock").mkdir()  # stands for a folder that cannot be written, which root always can
    refused = f"{home}.lock: Is a directory: needed free space, and an account that may write there, or root"
    assert ensure(environment, nvidia=False) == home / "bin/python"
    assert capsys.readouterr().err == (
        f"!! {refused}\n!! {home}: still used, made by an earlier build of this Python: same packages\n"
    )
    lock.write_text("tiny==2\n")
    with pytest.raises(CommandError) as error:
        ensure(environment, nvidia=False)
    assert error.value.lines == (refused,)

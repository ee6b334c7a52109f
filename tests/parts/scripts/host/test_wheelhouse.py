"""The wheelhouse: filled by the real pip from a folder, with wheels made here, without a package index."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host.wheelhouse import collect
from tests.unit.scripts.host.test_wheelhouse import make_wheel, write_lock

COLLECT = """
import sys
from pathlib import Path
from scripts.host.wheelhouse import collect
collect([Path(sys.argv[1])], Path(sys.argv[2]), keep=[])
"""


def test_missing_and_damaged_wheels_are_fetched_and_unlisted_ones_removed(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("one", "two", "three", "other", "stranger")
    one, two, three, other, stranger = (make_wheel(source, name) for name in names)
    lock, kept = write_lock(tmp_path / "lock.txt", one, two, three), write_lock(tmp_path / "kept.txt", other)
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    for wheel in (one, other, stranger):
        (folder / wheel.name).write_bytes(wheel.read_bytes())
    (folder / three.name).write_bytes(three.read_bytes()[:-1])
    collect([lock], folder, keep=[kept])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        wheel.name: wheel.read_bytes() for wheel in (one, two, three, other)
    }
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "-- wheelhouse: 2 of 3 wheels to download"
    assert "   removing stranger-1.0-py3-none-any.whl, which no lock file lists" in lines
    assert lines[-1] == "   wheelhouse has all needed wheels (3); 0 MB in total"


def test_a_python_without_pip_fills_it_too(tmp_path: Path, source: Path) -> None:
    lock = write_lock(tmp_path / "lock.txt", make_wheel(source, "one"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python, folder = tmp_path / "bare/bin/python", tmp_path / "wheelhouse"
    assert subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode
    subprocess.run([python, "-c", COLLECT, lock, folder], cwd=ROOT, check=True)
    assert [path.name for path in folder.iterdir()] == ["one-1.0-py3-none-any.whl"]


def test_an_unavailable_wheel_is_named(tmp_path: Path, source: Path) -> None:
    lock = write_lock(tmp_path / "lock.txt", make_wheel(tmp_path, "one"))
    source.mkdir()
    with pytest.raises(CommandError) as caught:
        collect([lock], tmp_path / "wheelhouse", keep=[])
    assert caught.value.lines[0] == "pip could not download the wheels pinned in lock.txt:"
    assert "No matching distribution found for one==1.0" in caught.value.lines[-2]
    assert caught.value.lines[-1] == (
        "needed a package index that has them, or PIP_FIND_LINKS set to a folder with the wheels"
    )


def test_a_wheel_with_a_wrong_hash_is_rejected(tmp_path: Path, source: Path) -> None:
    wheel = make_wheel(source, "one")
    lock = write_lock(tmp_path / "lock.txt", wheel)
    wheel.write_bytes(wheel.read_bytes() + b"\n")
    with pytest.raises(CommandError, match="THESE PACKAGES DO NOT MATCH THE HASHES"):
        collect([lock], tmp_path / "wheelhouse", keep=[])

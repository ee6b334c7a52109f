"""The wheelhouse, filled by the real pip from a folder with wheels made here, without a package index."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from scripts.host.pins import missing, read_pins
from scripts.host.wheelhouse import LOCKS, collect


def make_wheel(folder: Path, name: str) -> Path:
    """Write the smallest wheel that pip accepts."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def write_lock(path: Path, *wheels: Path) -> Path:
    """Write a lock file in uv's format."""
    lines = ["# made by hand"]
    for wheel in wheels:
        lines += [f"{wheel.name.split('-')[0]}==1.0 \\", f"    --hash=sha256:{'0' * 64} \\"]
        lines += [f"    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}", "    # via somebody"]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder in which pip finds wheels."""
    folder = tmp_path / "source"
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_full_wheelhouse_needs_neither_pip_nor_an_index_and_loses_nothing(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, other = write_lock(tmp_path / "lock.txt", make_wheel(source, "one")), make_wheel(source, "other")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    collect([lock], source, keep=[])
    assert capsys.readouterr().out == "   source has all needed wheels (1); 0 MB in total\n"
    assert other.exists()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_line_of_the_locks_is_parsed(lock: Path) -> None:
    text = lock.read_text()
    pins = read_pins(text)
    assert list(pins) == [line.removesuffix(" \\") for line in text.splitlines() if "==" in line]
    assert sum(map(len, pins.values())) == text.count("--hash=")


def test_a_pin_is_missing_if_none_of_its_hashes_is_present() -> None:
    pins = {"a==1": frozenset({"1", "2"}), "b==1": frozenset({"3"})}
    assert missing(pins, ["2", "9"]) == ["b==1"]

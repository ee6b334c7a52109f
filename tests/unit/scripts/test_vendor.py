"""The _vendor folders: few pure-Python packages, each just as its wheel or source has it, with its licence."""

import base64
import csv
import hashlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from scripts._vendor import tomlkit
from scripts.bundle.sbom import VENDORED
from scripts.cluster.config import ROOT
from scripts.host.pins import read_pins
from worker.decode import vips  # puts pyvips on the import path


def _pins(lock: Path) -> list[tuple[str, str]]:
    return [(name, version) for name, _, version in (pin.partition("==") for pin in read_pins(lock.read_text()))]


OWN = {"README.md", "requirements.txt"}
PINS = [(lock.parent, name, version) for lock in VENDORED for name, version in _pins(lock)]


def files(folder: Path, below: Path) -> set[str]:
    found = (path.relative_to(below) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


@pytest.mark.parametrize("lock", VENDORED)
def test_there_are_at_most_three_and_nothing_beside_them(lock: Path) -> None:
    pins = _pins(lock)
    assert 1 <= len(pins) <= 3
    assert len(lock.read_text().splitlines()) == 2 * len(pins)  # one hash each, and nothing else
    folders = {folder for name, version in pins for folder in (name, f"{name}-{version}.dist-info")}
    present = {path.name for path in lock.parent.iterdir()} - {"__pycache__", "__init__.py"}
    assert present == OWN | folders


@pytest.mark.parametrize(("folder", "name", "version"), PINS)
def test_every_file_is_as_the_package_lists_it(folder: Path, name: str, version: str) -> None:
    about = folder / f"{name}-{version}.dist-info"
    listed = {path: value for path, value, _ in csv.reader((about / "RECORD").read_text().splitlines())}
    assert listed.keys() == files(folder / name, folder) | files(about, folder)
    for path, value in listed.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256((folder / path).read_bytes()).digest()).decode().rstrip("=")
        assert value == ("" if path.endswith("/RECORD") else f"sha256={digest}"), path


@pytest.mark.parametrize(("folder", "name", "version"), PINS)
def test_it_is_pure_python_and_its_licence_is_here_and_in_notice(folder: Path, name: str, version: str) -> None:
    about = folder / f"{name}-{version}.dist-info"
    wheel = (about / "WHEEL").read_text()
    assert "Root-Is-Purelib: true\n" in wheel
    assert "Tag: py3-none-any\n" in wheel
    assert any((about / "licenses").iterdir())
    assert f"{name} {version} (" in (ROOT / "NOTICE").read_text()


@pytest.mark.parametrize(
    ("module", "name"), [(tomlkit, "tomlkit"), (sys.modules[vips.Image.__module__.split(".")[0]], "pyvips")]
)
def test_what_is_imported_is_the_vendored_version(module: ModuleType, name: str) -> None:
    folder, version = next((folder, version) for folder, pinned, version in PINS if pinned == name)
    assert Path(str(module.__file__)).parent == folder / name
    assert module.__version__ == version

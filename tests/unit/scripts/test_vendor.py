"""scripts/_vendor: at most three pure-Python packages, each just as its wheel has it, with its licence."""

import base64
import csv
import hashlib
from pathlib import Path

import pytest

from scripts._vendor import tomlkit
from scripts.bundle.sbom import VENDORED
from scripts.cluster.config import ROOT
from scripts.host.wheelhouse import read_pins

VENDOR = ROOT / "scripts/_vendor"
PINS = [pin.split("==") for pin in read_pins(VENDORED.read_text())]
OWN = {"README.md", "__init__.py", "requirements.txt"}


def files(folder: Path) -> set[str]:
    found = (path.relative_to(VENDOR) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def test_there_are_at_most_three_and_nothing_beside_them() -> None:
    assert 1 <= len(PINS) <= 3
    assert len(VENDORED.read_text().splitlines()) == 2 * len(PINS)  # one hash each, and nothing else
    folders = {folder for name, version in PINS for folder in (name, f"{name}-{version}.dist-info")}
    assert {path.name for path in VENDOR.iterdir() if path.name != "__pycache__"} == OWN | folders


@pytest.mark.parametrize(("name", "version"), PINS)
def test_every_file_is_as_the_wheel_lists_it(name: str, version: str) -> None:
    about = VENDOR / f"{name}-{version}.dist-info"
    listed = {path: value for path, value, _ in csv.reader((about / "RECORD").read_text().splitlines())}
    assert listed.keys() == files(VENDOR / name) | files(about)
    for path, value in listed.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256((VENDOR / path).read_bytes()).digest()).decode().rstrip("=")
        assert value == ("" if path.endswith("/RECORD") else f"sha256={digest}"), path


@pytest.mark.parametrize(("name", "version"), PINS)
def test_it_is_pure_python_and_its_licence_is_here_and_in_notice(name: str, version: str) -> None:
    about = VENDOR / f"{name}-{version}.dist-info"
    assert "Root-Is-Purelib: true\nTag: py3-none-any\n" in (about / "WHEEL").read_text()
    assert any((about / "licenses").iterdir())
    assert f"{name} {version} (" in (ROOT / "NOTICE").read_text()


def test_what_is_imported_is_the_vendored_version() -> None:
    assert Path(tomlkit.__file__).parent == VENDOR / "tomlkit"
    assert [tomlkit.__version__] == [version for name, version in PINS if name == "tomlkit"]

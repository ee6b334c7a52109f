"""The wheel: the same bytes for the same source, with all that pip and type checkers look for."""

import base64
import csv
import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.client.wheel import PACKAGE, build
from worker.contract.version import VERSION


def test_the_wheel_holds_the_package_and_a_true_record(tmp_path: Path) -> None:
    path = build(tmp_path / "new/dist")
    assert path.name == f"wanwu_client-{VERSION}-py3-none-any.whl"
    assert [other.name for other in path.parent.iterdir()] == [path.name]
    with zipfile.ZipFile(path) as wheel:
        contents = {name: wheel.read(name) for name in wheel.namelist()}
    info = f"wanwu_client-{VERSION}.dist-info"
    modules = {f"wanwu_client/{module.name}" for module in PACKAGE.glob("*.py")} | {"wanwu_client/py.typed"}
    others = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    assert set(contents) == modules | others
    for name, digest, size in csv.reader(io.StringIO(contents[f"{info}/RECORD"].decode())):
        if digest:
            found = base64.urlsafe_b64encode(hashlib.sha256(contents[name]).digest()).decode().rstrip("=")
            assert (digest, int(size)) == (f"sha256={found}", len(contents[name]))
    assert f"\nVersion: {VERSION}\n" in contents[f"{info}/METADATA"].decode()
    assert "\nRequires-Dist: requests" in contents[f"{info}/METADATA"].decode()


def test_the_same_source_makes_the_same_wheel(tmp_path: Path) -> None:
    assert build(tmp_path / "a").read_bytes() == build(tmp_path / "b").read_bytes()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match=r"found .*, needed a folder to write into"):
        build(tmp_path / "file")

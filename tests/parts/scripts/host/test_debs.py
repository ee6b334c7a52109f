"""Packages for bare servers: those that are there already, and an unreachable mirror."""

import hashlib
import shutil
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.host.apt_texts import read_stanzas
from scripts.host.debs import INDEX, Apt
from scripts.host.systems import SYSTEMS


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt")
def test_an_unreachable_mirror_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANWU_DEBIAN_MIRROR", f"file:{tmp_path}/none")
    monkeypatch.setenv("WANWU_DEBIAN_SECURITY_MIRROR", f"file:{tmp_path}/none")
    with pytest.raises(CommandError) as error:
        Apt(SYSTEMS["debian-12"], tmp_path / "apt").resolve()
    (line,) = error.value.lines
    assert line.startswith("debian-12: apt-get update failed: E: The repository 'file:")


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt")
def test_packages_that_are_there_are_not_downloaded_again_and_others_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "good_1_amd64.deb").write_bytes(b"good")
    (folder / "old_1_amd64.deb").write_bytes(b"old")
    before = (folder / "good_1_amd64.deb").stat().st_mtime_ns
    digest = hashlib.sha256(b"good").hexdigest()
    stanza = f"Package: good\nVersion: 1\nFilename: pool/good_1_amd64.deb\nSize: 4\nSHA256: {digest}\n"
    apt = Apt(SYSTEMS["debian-12"], tmp_path / "apt")  # with no list of packages: it can download none
    apt.fetch(read_stanzas(stanza), folder)
    assert {path.name for path in folder.iterdir()} == {"good_1_amd64.deb", INDEX}
    assert (folder / "good_1_amd64.deb").stat().st_mtime_ns == before
    assert "Filename: ./good_1_amd64.deb\n" in (folder / INDEX).read_text()
    (folder / "good_1_amd64.deb").write_bytes(b"evil")
    with pytest.raises(CommandError, match=r"^debian-12: apt-get download failed: "):
        apt.fetch(read_stanzas(stanza), folder)

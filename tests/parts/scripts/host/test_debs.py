"""Packages for bare servers: an unreachable mirror."""

import shutil
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.host.debs import SYSTEMS, Apt


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt")
def test_an_unreachable_mirror_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANWU_DEBIAN_MIRROR", f"file:{tmp_path}/none")
    monkeypatch.setenv("WANWU_DEBIAN_SECURITY_MIRROR", f"file:{tmp_path}/none")
    with pytest.raises(CommandError) as error:
        Apt(SYSTEMS["debian-12"], tmp_path / "apt").resolve()
    (line,) = error.value.lines
    assert line.startswith("debian-12: apt-get update failed: E: The repository 'file:")

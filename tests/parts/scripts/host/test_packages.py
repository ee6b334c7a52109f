import os
import shutil
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.hardware import read_hardware
from scripts.host.packages import NGINX, require
from tests.unit.scripts.host.test_packages import error_lines

TOOL = {"no-such-program": "wanwu-tool"}
PACKAGE = """\
Package: wanwu-tool
Version: 1
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: a package to try apt with
Filename: ./wanwu-tool.deb
Size: 1
SHA256: 0000000000000000000000000000000000000000000000000000000000000000
"""
needs_apt = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("apt-get") is None, reason="only root installs, and only with apt"
)


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real apt with sources, lists and records of its own, which only says what it would install."""
    for folder in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "repository"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("preferences.d", "sources.list.d"):
        (tmp_path / "etc" / folder).mkdir()
    (tmp_path / "etc/sources.list").write_text("")
    (tmp_path / "status").write_text("")
    (tmp_path / "repository/Packages").write_text(PACKAGE)
    (tmp_path / "apt.conf").write_text(
        f'Dir::State "{tmp_path}/state";\nDir::State::status "{tmp_path}/status";\nDir::Cache "{tmp_path}/cache";\n'
        f'Dir::Etc "{tmp_path}/etc";\nAPT::Get::Simulate "true";\nAPT::Sandbox::User "root";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    return tmp_path


@pytest.mark.parametrize("command", ["dnf install", "yum install", "zypper install", "apk add", "pacman -S"])
def test_another_package_managers_command_is_suggested(empty_path: Path, command: str) -> None:
    manager = empty_path / command.split()[0]
    manager.write_text("#!/bin/sh\n")
    manager.chmod(0o755)
    assert error_lines(NGINX) == (f"found no nginx: run as root: {command} nginx",)
    with pytest.raises(CommandError, match=rf"^found no lscpu: run as root: {command} util-linux$"):
        read_hardware()


@needs_apt
def test_an_unknown_package_is_reported_with_apts_message(apt: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = error_lines(TOOL | {"other": "another"})
    assert lines[0] == "apt could not install another wanwu-tool:"
    assert set(lines[1:]) == {"E: Unable to locate package another", "E: Unable to locate package wanwu-tool"}
    assert capfd.readouterr() == ("-- apt: another wanwu-tool\n", "")


@needs_apt
def test_package_lists_are_updated_if_the_present_ones_fail(apt: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (apt / "etc/sources.list").write_text(f"deb [trusted=yes] copy:{apt}/repository ./\n")
    assert not list((apt / "state/lists").glob("*Packages*"))
    require(TOOL)
    assert list((apt / "state/lists").glob("*Packages*"))
    assert capfd.readouterr() == ("-- apt: wanwu-tool\n", "")


@needs_apt
def test_package_lists_that_suffice_are_not_updated(apt: Path) -> None:
    (apt / "etc/sources.list").write_text(f"deb [trusted=yes] copy:{apt}/repository ./\n")
    require(TOOL)
    (apt / "repository/Packages").unlink()
    require(TOOL)
    assert list((apt / "state/lists").glob("*Packages*"))

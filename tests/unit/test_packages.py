import os
import shutil
from pathlib import Path

import pytest

from scripts.packages import on_path, require
from scripts.refusal import Refusal
from tests.nobody import as_nobody

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


def refused(programs: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(Refusal) as refusal:
        require(programs)
    return refusal.value.lines


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


def test_nothing_is_done_where_everything_is_there(capfd: pytest.CaptureFixture[str]) -> None:
    require({"sh": "no-such-package", "ls": "no-such-package"})
    require({"/no/such/font": "no-such-package"}, found=lambda path: path == "/no/such/font")
    assert capfd.readouterr() == ("", "")


def test_programs_of_sbin_are_found_on_an_ordinary_users_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert on_path("ldconfig")
    assert not on_path("no-such-program")


def test_an_ordinary_account_is_told_the_exact_command() -> None:
    with as_nobody():
        assert refused(TOOL) == (
            "found no no-such-program: run as root: apt-get install --no-install-recommends wanwu-tool",
        )
        assert refused({"sh": "dash", "b-tool": "b", "a-tool": "b", "c-tool": "a"}) == (
            "found no b-tool, a-tool, c-tool: run as root: apt-get install --no-install-recommends a b",
        )


def test_a_machine_without_apt_is_told_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(TOOL) == (
        "found no no-such-program: run as root: apt-get install --no-install-recommends wanwu-tool",
    )


@needs_apt
def test_what_apt_does_not_know_is_refused_with_apts_own_words(apt: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = refused(TOOL | {"other": "another"})
    assert lines[0] == "apt could not install another wanwu-tool:"
    assert set(lines[1:]) == {"E: Unable to locate package another", "E: Unable to locate package wanwu-tool"}
    assert capfd.readouterr() == ("-- apt: another wanwu-tool\n", "")


@needs_apt
def test_lists_are_fetched_when_those_at_hand_do_not_serve(apt: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (apt / "etc/sources.list").write_text(f"deb [trusted=yes] copy:{apt}/repository ./\n")
    assert not list((apt / "state/lists").glob("*Packages*"))
    require(TOOL)
    assert list((apt / "state/lists").glob("*Packages*"))
    assert capfd.readouterr() == ("-- apt: wanwu-tool\n", "")


@needs_apt
def test_lists_that_serve_are_not_fetched_again(apt: Path) -> None:
    (apt / "etc/sources.list").write_text(f"deb [trusted=yes] copy:{apt}/repository ./\n")
    require(TOOL)
    (apt / "repository/Packages").unlink()
    require(TOOL)
    assert list((apt / "state/lists").glob("*Packages*"))

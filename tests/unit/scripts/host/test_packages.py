import sys
from pathlib import Path

import pytest

from scripts.base import programs
from scripts.base.errors import CommandError
from scripts.base.programs import on_path
from scripts.host import packages
from scripts.host.packages import NGINX, ensurepip_package, has_ensurepip, require, require_ensurepip
from tests.unprivileged_user import as_unprivileged

TOOL = {"no-such-program": "wanwu-tool"}


def error_lines(programs: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(CommandError) as error:
        require(programs)
    return error.value.lines


def test_nothing_is_installed_if_nothing_is_missing(capfd: pytest.CaptureFixture[str]) -> None:
    require({"sh": "no-such-package", "ls": "no-such-package"})
    require({"/no/such/font": "no-such-package"}, is_present=lambda path: path == "/no/such/font")
    assert capfd.readouterr() == ("", "")


def test_programs_in_sbin_are_found_for_an_ordinary_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert on_path("ldconfig")
    assert not on_path("no-such-program")


def test_an_ordinary_user_gets_the_exact_command() -> None:
    with as_unprivileged():
        assert error_lines(TOOL) == (
            "found no no-such-program: run as root: apt-get install --no-install-recommends wanwu-tool",
        )
        assert error_lines({"sh": "dash", "b-tool": "b", "a-tool": "b", "c-tool": "a"}) == (
            "found no b-tool, a-tool, c-tool: run as root: apt-get install --no-install-recommends a b",
        )


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the only folder on the search path, as on a machine without apt."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "search_path", lambda: str(tmp_path))
    return tmp_path


def test_a_machine_without_apt_gets_other_advice(empty_path: Path) -> None:
    assert error_lines(NGINX) == ("found no nginx: install nginx with your package manager",)
    assert error_lines(TOOL | NGINX) == (
        "found no no-such-program, nginx: "
        "install the equivalents of Debian's nginx-light wanwu-tool with your package manager",
    )


def test_only_the_systems_python_has_a_package_for_ensurepip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "has_ensurepip", lambda: False)
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "version_info", (3, 12, 3))
    assert ensurepip_package() == {"ensurepip": "python3.12-venv"}
    monkeypatch.setattr(sys, "base_prefix", "/opt/python")
    with pytest.raises(CommandError) as error:
        require_ensurepip()
    assert error.value.lines == (
        f"found no ensurepip in {sys.executable}, which is not the system's Python, needed a Python with ensurepip: "
        "choose one with PYTHON=, such as PYTHON=/usr/bin/python3",
    )


def test_an_empty_ensurepip_folder_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert has_ensurepip()
    (tmp_path / "ensurepip").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "ensurepip")
    assert not has_ensurepip()

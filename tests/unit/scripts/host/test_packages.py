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


def refused(programs: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(CommandError) as refusal:
        require(programs)
    return refusal.value.lines


def test_nothing_is_done_where_everything_is_there(capfd: pytest.CaptureFixture[str]) -> None:
    require({"sh": "no-such-package", "ls": "no-such-package"})
    require({"/no/such/font": "no-such-package"}, found=lambda path: path == "/no/such/font")
    assert capfd.readouterr() == ("", "")


def test_programs_of_sbin_are_found_on_an_ordinary_users_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert on_path("ldconfig")
    assert not on_path("no-such-program")


def test_an_ordinary_account_is_told_the_exact_command() -> None:
    with as_unprivileged():
        assert refused(TOOL) == (
            "found no no-such-program: run as root: apt-get install --no-install-recommends wanwu-tool",
        )
        assert refused({"sh": "dash", "b-tool": "b", "a-tool": "b", "c-tool": "a"}) == (
            "found no b-tool, a-tool, c-tool: run as root: apt-get install --no-install-recommends a b",
        )


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the only folder on the search path, as on a machine without apt."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "search_path", lambda: str(tmp_path))
    return tmp_path


def test_a_machine_without_apt_is_not_told_to_run_it(elsewhere: Path) -> None:
    assert refused(NGINX) == ("found no nginx: install nginx with your package manager",)
    assert refused(TOOL | NGINX) == (
        "found no no-such-program, nginx: install the equivalents of Debian's nginx-light wanwu-tool with your package manager",
    )


def test_ensurepip_is_a_package_of_the_systems_python_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "has_ensurepip", lambda: False)
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "version_info", (3, 12, 3))
    assert ensurepip_package() == {"ensurepip": "python3.12-venv"}
    monkeypatch.setattr(sys, "base_prefix", "/opt/python")
    with pytest.raises(CommandError) as refusal:
        require_ensurepip()
    assert refusal.value.lines == (
        f"found no ensurepip in {sys.executable}, which is not the system's Python: needed a Python with it: "
        "give another one with PYTHON=, such as PYTHON=/usr/bin/python3",
    )


def test_a_folder_that_a_removed_package_left_is_no_ensurepip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert has_ensurepip()
    (tmp_path / "ensurepip").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "ensurepip")
    assert not has_ensurepip()

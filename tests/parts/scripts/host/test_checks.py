"""The checks of the code: one declaration for `make test` and for the pre-commit hooks."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host import checks
from scripts.host.checks import CHECKS, FIXES, run_checks, shell_scripts
from scripts.host.environments import DEV

HOOKS = ROOT / ".pre-commit-config.yaml"
TOOLS = DEV.folder / "bin"


def hooks() -> list[dict[str, Any]]:
    return [hook for repository in yaml.safe_load(HOOKS.read_text())["repos"] for hook in repository["hooks"]]


def test_the_hooks_run_the_checks_of_make_test_in_their_order() -> None:
    own = TOOLS.relative_to(ROOT).as_posix()
    commands = {
        name: [program if program == "shellcheck" else f"{own}/{program}", *arguments]
        for name, (program, *arguments) in CHECKS.items()
    }
    assert {hook["name"]: shlex.split(hook["entry"]) for hook in hooks()} == commands
    assert [hook["name"] for hook in hooks()] == list(CHECKS)


def test_no_hook_needs_the_network() -> None:
    assert [repository["repo"] for repository in yaml.safe_load(HOOKS.read_text())["repos"]] == ["local"]
    assert {hook["language"] for hook in hooks()} == {"system"}
    assert "://" not in HOOKS.read_text()


def test_every_hook_runs_for_the_files_that_its_check_reads() -> None:
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    read = {hook["name"]: [name for name in listed if re.search(hook["files"], name)] for hook in hooks()}
    assert read.pop("shellcheck") == shell_scripts()
    python = [name for name in listed if name.endswith(".py") or name == "pyproject.toml"]
    assert list(read.values()) == [python] * 3
    assert [hook["name"] for hook in hooks() if hook.get("pass_filenames", True)] == ["shellcheck"]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a module that breaks rules, and this repository's settings."""
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    (tmp_path / "module.py").write_text("import sys\nimport os\n\nprint( os.sep,sys.path )\n")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    return tmp_path


def test_a_failing_check_ends_the_run(tree: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError) as error:
        run_checks(TOOLS)
    assert str(error.value) == "ruff check failed with status 1"
    assert "I001" in capfd.readouterr().out


def test_format_fixes_what_the_checks_reject(tree: Path, capfd: pytest.CaptureFixture[str]) -> None:
    checks.format_code(TOOLS)
    assert (tree / "module.py").read_text() == "import os\nimport sys\n\nprint(os.sep, sys.path)\n"
    assert [line[3:] for line in capfd.readouterr().out.splitlines() if line.startswith("-- ")] == list(FIXES)
    for name in ("ruff check", "ruff format"):
        checks.run(name, [TOOLS / "ruff", *CHECKS[name][1:]])


def test_format_formats_the_code_but_fails_if_a_fault_remains(tree: Path) -> None:
    (tree / "module.py").write_text("print( undefined )\n")
    with pytest.raises(CommandError) as error:
        checks.format_code(TOOLS)
    assert error.value.lines == ("ruff check --fix failed with status 1",)
    assert (tree / "module.py").read_text() == "print(undefined)\n"


def test_shell_scripts_are_recognised_by_their_shebang(tree: Path) -> None:
    for name, program in {"run": "/usr/bin/env bash", "tool.sh": "/bin/sh", "notes": "/usr/bin/python3"}.items():
        (tree / name).write_text(f"#!{program}\n")
    subprocess.run(["git", "add", "."], cwd=tree, check=True)
    assert shell_scripts() == ["run", "tool.sh"]

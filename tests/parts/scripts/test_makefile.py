"""The Makefile lists every target, and every target runs an existing command."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from scripts import commands
from scripts.__main__ import parser
from scripts.cluster.config import ROOT
from tests.service import bare_environment
from tests.unit.scripts.test_makefile import PHONY, TARGETS, TEXT

VARIABLES = {*re.findall(r"^(\w+) \?=", TEXT, re.MULTILINE), "FOLLOW", "TESTS"}


def make(*arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    environ = {name: value for name, value in bare_environment().items() if name not in VARIABLES}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=environ).stdout


def dry_run(*arguments: str) -> list[str]:
    """Return the words of the command line that a target runs."""
    return shlex.split(make("--dry-run", *arguments))


def test_make_alone_prints_every_target_under_a_section() -> None:
    printed = make()
    assert printed == make("help")
    blocks = printed.strip().split("\n\n")
    sections = {block.splitlines()[0]: block.splitlines()[1:] for block in blocks if "\n  make " in block}
    listed = [line.split()[1] for lines in sections.values() for line in lines]
    assert list(sections) == re.findall(r"^##@ (.+)$", TEXT, re.MULTILINE)
    assert sorted(listed) == sorted(PHONY if "help" in listed else TARGETS)
    assert all(len(line.split(maxsplit=2)) == 3 for lines in sections.values() for line in lines)
    assert blocks[-1].strip() == (
        "With every target: RUNTIME=local, compose or swarm, CLUSTER=FILE (compose/cluster.toml), RUN_DIR=DIR (run)."
    )


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_runs_a_command_that_takes_its_arguments_or_a_script(target: str) -> None:
    words = dry_run(target)
    if words == [f"scripts/{target}.sh"]:
        assert os.access(ROOT / words[0], os.X_OK)
        return
    assert words[:3] == ["python3", "-m", "scripts"]
    options = parser().parse_args(words[3:])
    assert options.command == target
    if "--cluster" in words:
        assert ROOT / options.cluster == ROOT / "compose/cluster.toml"
        assert ROOT / options.run_dir == ROOT / "run"
        assert options.runtime == ""


@pytest.mark.parametrize("target", sorted({*TARGETS} & {*commands.names()}))
def test_a_target_passes_the_defaults_of_its_command(target: str) -> None:
    """The Makefile and the command line state the same defaults."""
    passed, bare = parser(target).parse_args(dry_run(target)[3:]), parser(target).parse_args([target])
    differing = {
        name: (value, getattr(passed, name))
        for name, value in vars(bare).items()
        if (ROOT / value if isinstance(value, Path) else value) != absolute(getattr(passed, name))
    }
    assert differing == {}


def absolute(value: object) -> object:
    return ROOT / value if isinstance(value, Path) else value


def test_labels_of_all_languages_are_one_variable_and_the_retired_ones_are_passed_on() -> None:
    words = dry_run("model-add", "LABELS=zh:/of 2026/zh.txt,ja:/ja.txt", "LABELS_EN=/of 2026/en.txt")
    options = parser().parse_args(words[3:])
    assert options.labels == "zh:/of 2026/zh.txt,ja:/ja.txt"
    assert options.retired.strip() == "LABELS_EN=/of 2026/en.txt"
    assert not parser().parse_args(dry_run("model-add")[3:]).retired.strip()


def test_the_variables_reach_the_command_unchanged() -> None:
    options = parser().parse_args(dry_run("up", "CLUSTER=my cluster.toml", "RUN_DIR=/srv/my run", "RUNTIME=local")[3:])
    assert (options.cluster, options.run_dir) == (Path("my cluster.toml"), Path("/srv/my run"))
    assert options.runtime == "local"
    assert parser().parse_args(dry_run("logs", "FOLLOW=1")[3:]).follow
    assert not parser().parse_args(dry_run("logs")[3:]).follow
    tests = parser().parse_args(dry_run("test", "TESTS=tests/unit -k 'a or b'")[3:]).arguments
    assert tests == ["tests/unit", "-k", "a or b"]


def test_what_a_shell_takes_for_itself_reaches_the_command() -> None:
    odd = """a "b" `c` 'd' \\ e"""
    words = make("key", "PYTHON=printf %s,", f"NAME={odd}", f"CLUSTER={odd}", f"RUN_DIR={odd}$$HOME").split(",")
    assert [words[words.index(flag) + 1] for flag in ("--name", "--cluster", "--run-dir")] == [odd, odd, f"{odd}$HOME"]

"""The Makefile says what there is, and every target runs a command that there is."""

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


def ran(*arguments: str) -> list[str]:
    """What a target runs, as its words."""
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
        "With any of them: RUNTIME=local, compose or swarm, CLUSTER=FILE (compose/cluster.toml), RUN_DIR=DIR (run)."
    )


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_runs_a_command_that_takes_its_arguments_or_a_script(target: str) -> None:
    words = ran(target)
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
def test_what_a_target_passes_by_default_is_what_the_command_does_without(target: str) -> None:
    """One default each: what the Makefile spells out is what the command line has."""
    passed, bare = parser(target).parse_args(ran(target)[3:]), parser(target).parse_args([target])
    differing = {
        name: (value, getattr(passed, name))
        for name, value in vars(bare).items()
        if (ROOT / value if isinstance(value, Path) else value) != whole(getattr(passed, name))
    }
    assert differing == {}


def whole(value: object) -> object:
    return ROOT / value if isinstance(value, Path) else value


def test_labels_in_several_languages_are_one_variable_and_what_it_replaced_is_passed_on_to_be_refused() -> None:
    given = ran("model-add", "LABELS=zh:/of 2026/zh.txt,ja:/ja.txt", "LABELS_EN=/of 2026/en.txt")
    options = parser().parse_args(given[3:])
    assert options.labels == "zh:/of 2026/zh.txt,ja:/ja.txt"
    assert options.retired.strip() == "LABELS_EN=/of 2026/en.txt"
    assert not parser().parse_args(ran("model-add")[3:]).retired.strip()


def test_the_variables_reach_the_command_whole() -> None:
    options = parser().parse_args(ran("up", "CLUSTER=my cluster.toml", "RUN_DIR=/srv/my run", "RUNTIME=local")[3:])
    assert (options.cluster, options.run_dir) == (Path("my cluster.toml"), Path("/srv/my run"))
    assert options.runtime == "local"
    assert parser().parse_args(ran("logs", "FOLLOW=1")[3:]).follow
    assert not parser().parse_args(ran("logs")[3:]).follow
    tests = parser().parse_args(ran("test", "TESTS=tests/unit -k 'a or b'")[3:]).arguments
    assert tests == ["tests/unit", "-k", "a or b"]

"""`make test`: the tests, after installing all they need."""

import os
import subprocess
from collections.abc import Sequence

from scripts.cluster import ROOT
from scripts.environments import DEV, SERVE, ensure
from scripts.hardware import read_hardware
from scripts.packages import FONTS, NGINX, TEST_TOOLS, require
from scripts.refusal import Refusal

# Two at a time: most tests wait for processes. Which of them keep to one another's company, tests/conftest.py says.
AT_ONCE = ("--numprocesses=2", "--dist=loadgroup", "--no-loadscope-reorder")


def run_tests(arguments: Sequence[str]) -> None:
    """Lint, type-check and test; `arguments` go to pytest, alone when given. Raises Refusal when anything fails."""
    require(NGINX | TEST_TOOLS)
    require(FONTS, found=lambda path: os.path.exists(path))
    nvidia = bool(read_hardware().gpus)
    ensure(SERVE, nvidia)
    tools = ensure(DEV, nvidia).parent
    commands: dict[str, list[object]] = {
        "ruff check": [tools / "ruff", "check"],
        "ruff format": [tools / "ruff", "format", "--check"],
        "mypy": [tools / "mypy"],
        "shellcheck": ["shellcheck", *_shell_scripts()],
    }
    tests: list[object] = [tools / "python", "-m", "pytest", *(arguments or AT_ONCE)]
    for name, command in ({} if arguments else commands).items():
        _run(name, command)
    _run("pytest", tests)


def _run(name: str, command: Sequence[object]) -> None:
    print(f"-- {name}", flush=True)
    status = subprocess.run([str(part) for part in command], cwd=ROOT).returncode
    if status:
        raise Refusal(f"{name} failed with status {status}")


def _shell_scripts() -> list[str]:
    """Every file that git knows and that starts as a shell script."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [
        name
        for name in listed.splitlines()
        if (ROOT / name).is_file() and (ROOT / name).read_bytes()[:64].startswith((b"#!/usr/bin/env bash", b"#!/bin/"))
    ]

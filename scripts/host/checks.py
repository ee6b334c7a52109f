"""Static checks that `make test` runs besides the tests. A test compares the pre-commit hooks with them."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT

# Check name -> command. A program of the development environment comes before one on PATH.
CHECKS = {
    "ruff check": ("ruff", "check"),
    "ruff format": ("ruff", "format", "--check"),
    "mypy": ("mypy",),
    "shellcheck": ("shellcheck",),  # run_checks() adds every file of shell_scripts()
}
TYPES = "mypy"  # takes a minute on one core, so that `make test` runs it beside the tests
FIXES = {"ruff check --fix": ("ruff", "check", "--fix"), "ruff format": ("ruff", "format")}
SHEBANGS = (b"#!/usr/bin/env bash", b"#!/bin/")


def run_checks(tools: Path) -> None:
    """Run every check but TYPES, preferring programs in the folder `tools`; raise CommandError at the first failure."""
    for name, command in CHECKS.items():
        if name != TYPES:
            run(name, [*full_command(command, tools), *(shell_scripts() if command == ("shellcheck",) else ())])


def format_code(tools: Path) -> None:
    """Apply ruff's fixes and its format to the Python code, preferring the ruff in `tools`.

    Raise CommandError if a fault is left that needs a fix by hand.
    """
    faults: list[str] = []
    for name, command in FIXES.items():
        try:
            run(name, full_command(command, tools))
        except CommandError as error:
            faults += error.lines
    if faults:
        raise CommandError(*faults)


def run(name: str, command: Sequence[object]) -> None:
    step(name)
    require_success(name, subprocess.run(list(map(str, command)), cwd=ROOT).returncode)


def require_success(name: str, status: int) -> None:
    if status:
        raise CommandError(f"{name} failed with status {status}")


def shell_scripts() -> list[str]:
    """Return the path, relative to ROOT, of every file tracked by git that starts with a shell's shebang."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [
        name
        for name in listed.splitlines()
        if (ROOT / name).is_file() and (ROOT / name).read_bytes()[:64].startswith(SHEBANGS)
    ]


def full_command(command: Sequence[str], tools: Path) -> list[str]:
    """Return `command` with the path of its program if that is in the folder `tools`."""
    program, *arguments = command
    path = tools / program
    return [str(path) if path.exists() else program, *arguments]

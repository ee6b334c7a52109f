"""`make test`: the tests, after installing all they need."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import STDOUT
from tempfile import TemporaryFile
from typing import Annotated

from scripts.base.console import step
from scripts.base.options import Flag
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.commands import Command, Place
from scripts.host.checks import judge, run_checks
from scripts.host.checks import run as check
from scripts.host.environments import DEV, SERVE, ensure
from scripts.host.packages import NGINX, TEST_TOOLS, require

# Two halves, that take about as long, run beside each other, for most of them is waiting for processes. Only one of
# them has tests that need the Docker engine.
HALF = ("tests/system", "tests/cluster", "tests/unit")
SLOWEST = 30  # tests that are listed with their seconds


@dataclass(frozen=True)
class Options:
    """Arguments for pytest, which then runs alone."""

    arguments: Annotated[tuple[str, ...], Flag("for pytest, after --")] = ()


def run(place: Place, options: Options) -> None:
    """Lint, type-check and test; raise Refusal when anything fails."""
    arguments = options.arguments
    require(NGINX | TEST_TOOLS)
    nvidia = bool(read_hardware().gpus)
    ensure(SERVE, nvidia)
    tools = ensure(DEV, nvidia).parent
    pytest: list[object] = [tools / "python", "-m", "pytest"]
    if arguments:
        check("pytest", [*pytest, *arguments])
        return
    run_checks(tools)
    with beside(f"pytest {' '.join(HALF)}", [*pytest, *_timed("half"), *HALF]):
        check("pytest, all others", [*pytest, *_timed("others"), *(f"--ignore={folder}" for folder in HALF)])


def _timed(name: str) -> list[str]:
    """Return what makes pytest say where its time went: on the screen, and every test in a JUnit file."""
    return [f"--durations={SLOWEST}", f"--junitxml={ROOT}/.pytest_cache/junit-{name}.xml"]


@contextmanager
def beside(name: str, command: Sequence[object]) -> Iterator[None]:
    """Run `command` while the block runs, whatever comes of that; then show what it said, and judge it."""
    with (
        TemporaryFile() as said,
        subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=said, stderr=STDOUT) as process,
    ):
        try:
            yield
        finally:
            status = process.wait()
            step(name)
            said.seek(0)
            shutil.copyfileobj(said, sys.stdout.buffer)
            sys.stdout.flush()
    judge(name, status)


COMMAND = Command("run lint, types and tests, with all they need", Options, run)

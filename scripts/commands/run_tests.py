"""`make test` and `make test-unit`: the tests, after installing all they need."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.base.console import aligned, say, step
from scripts.base.errors import Refusal
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import DEV, SERVE, ensure
from scripts.host.packages import NGINX, TEST_TOOLS, require

UNIT = "tests/unit"
# The lanes run beside each other, for most of what they do is waiting for processes. They share nothing but the cores:
# `system` uses the Docker engine of this machine, `cluster` starts engines of its own.
LANES: Mapping[str, Sequence[str]] = {
    "unit": [UNIT, "tests/parts"],
    "local": ["tests/local", "tests/browser"],
    "system": ["tests/system"],
    "cluster": ["tests/cluster"],
}
KEPT = ROOT / ".pytest_cache"
SLOWEST = 30  # tests of a lane that are listed with their seconds
FAULTS = ("FAILED ", "ERROR ")  # how pytest's summary starts the line of a test that did not pass
LOOK_S = 0.2


def run_tests(arguments: Sequence[str]) -> None:
    """Lint, type-check and test; `arguments` go to pytest, alone when given. Raise Refusal when anything fails."""
    require(NGINX | TEST_TOOLS)
    nvidia = bool(read_hardware().gpus)
    ensure(SERVE, nvidia)
    tools = ensure(DEV, nvidia).parent
    pytest = [tools / "python", "-m", "pytest"]
    if arguments:
        run("pytest", [*pytest, *arguments])
        return
    commands: dict[str, list[object]] = {
        "ruff check": [tools / "ruff", "check"],
        "ruff format": [tools / "ruff", "format", "--check"],
        "mypy": [tools / "mypy"],
        "shellcheck": ["shellcheck", *_shell_scripts()],
    }
    for name, command in commands.items():
        run(name, command)
    run_beside({lane: [*pytest, *_timed(lane), *folders] for lane, folders in LANES.items()})


def run_unit_tests() -> None:
    """Run the tests that start no process, and so need no package of the system. Raise Refusal when one fails."""
    python = ensure(DEV, nvidia=bool(read_hardware().gpus))
    run("pytest", [python, "-m", "pytest", *_timed("unit"), UNIT])


def _timed(lane: str) -> list[str]:
    """Return what makes pytest say where its time went: on the screen, and every test in a JUnit file."""
    return [f"--durations={SLOWEST}", f"--junitxml={KEPT}/junit-{lane}.xml"]


def run(name: str, command: Sequence[object]) -> None:
    """Run `command`; raise Refusal when it fails."""
    step(name)
    if status := subprocess.run(list(map(str, command)), cwd=ROOT).returncode:
        raise Refusal(f"{name} failed with status {status}")


@dataclass
class Lane:
    """A command at work; what it prints goes to the file `output`."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path
    started_s: float = field(default_factory=time.monotonic)
    minutes: float = 0.0

    def has_ended(self) -> bool:
        self.minutes = (time.monotonic() - self.started_s) / 60
        return self.process.poll() is not None

    def printed(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def failures(self) -> list[str]:
        """Return a line for each test that did not pass, and one for the lane; none when all passed."""
        if not self.process.returncode:
            return []
        found = [line for line in self.printed().splitlines() if line.startswith(FAULTS)]
        return [*found, f"{self.name} failed with status {self.process.returncode}"]


def run_beside(commands: Mapping[str, Sequence[object]], folder: Path = KEPT) -> None:
    """Run all `commands`, by the names of their lanes, to the end of each; what they print goes to files in `folder`.

    Show what a lane printed as soon as it has ended, then the minutes of all. Raise Refusal with what failed in any.
    """
    folder.mkdir(exist_ok=True)
    step(f"pytest in lanes beside each other, which write {folder}/lane-*.log: {', '.join(commands)}")
    with ExitStack() as stack:
        running = [stack.enter_context(_start(name, command, folder)) for name, command in commands.items()]
        ended = []
        for lane in _as_they_end(running):
            step(f"pytest, lane {lane.name}")
            say(lane.printed().rstrip())
            ended.append(lane)
        step("minutes of each lane")
        say(aligned([("  ", lane.name, f"{lane.minutes:.1f}") for lane in ended]))
        if failures := [line for lane in ended for line in lane.failures()]:
            raise Refusal(*failures)


@contextmanager
def _start(name: str, command: Sequence[object], folder: Path) -> Iterator[Lane]:
    path = folder / f"lane-{name}.log"
    with (
        path.open("wb") as output,
        subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        yield Lane(name, process, path)


def _as_they_end(lanes: Sequence[Lane]) -> Iterator[Lane]:
    running = list(lanes)
    while running:
        time.sleep(LOOK_S)
        for lane in [lane for lane in running if lane.has_ended()]:
            running.remove(lane)
            yield lane


def _shell_scripts() -> list[str]:
    """Every file that git knows and that starts as a shell script."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [
        name
        for name in listed.splitlines()
        if (ROOT / name).is_file() and (ROOT / name).read_bytes()[:64].startswith((b"#!/usr/bin/env bash", b"#!/bin/"))
    ]

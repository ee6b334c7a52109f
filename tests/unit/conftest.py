"""Unit tests start no process: one that does fails, whatever catches the error."""

import sys
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from tests import cached_folders

FOLDER = Path(__file__).parent
STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "os.exec"}


class Guard:
    """Refuses and notes what would start a process while a test, its fixtures included, is at work."""

    def __init__(self) -> None:
        self.at_work = False
        self.started: list[str] = []

    def refuse(self, what: str) -> None:
        if self.at_work and not cached_folders.ACTIVE:
            self.started.append(what)
            raise AssertionError(f"{what}: a test in tests/unit starts no process; its place is tests/parts")


GUARD = Guard()


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event in STARTS:
        GUARD.refuse(f"{event} {arguments[:1]}")


def _start(self: BaseProcess) -> None:
    GUARD.refuse(f"multiprocessing {self.name}")
    START(self)


START = BaseProcess.start
BaseProcess.start = _start  # type: ignore[method-assign]  # no event tells of it
sys.addaudithook(_hear)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Watch each test of this folder, from its first fixture to the end of its last one."""
    GUARD.at_work = item.path.is_relative_to(FOLDER)
    yield
    GUARD.at_work = False


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Fail a test that has swallowed the error, too."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if GUARD.started and report.passed:
        report.outcome, report.longrepr = "failed", f"started a process: {'; '.join(GUARD.started)}"
    GUARD.started.clear()

"""A worker for the tests that ask one, and model folders for those that start their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.base.console import aligned
from tests import folders
from tests.local.hostile_harness import TABLE
from tests.local.worker_harness import WorkerProcess, running

HOSTILE = "tests/local/test_hostile.py"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what each hostile request did, if this run has sent any."""
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    if any(getattr(report, "nodeid", "").startswith(HOSTILE) for report in reports) and TABLE.exists():
        rows = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()]
        terminalreporter.section(f"hostile requests, {TABLE}")
        terminalreporter.write_line(aligned([(row[0], *row[1:-1]) for row in rows]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model folders that tests may copy and must not change."""
    home = tmp_path_factory.mktemp("made")
    folders.openvino_folder(home / "bright")
    folders.slow_folder(home / "slow")
    return home


@pytest.fixture(scope="module")
def worker(made: Path) -> Iterator[WorkerProcess]:
    with running(made / "bright", made / "log") as process:
        yield process

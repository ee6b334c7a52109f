"""A worker for the tests that ask one, and model folders for those that start their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import folders
from tests.local.worker_harness import WorkerProcess, running


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

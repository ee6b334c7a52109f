"""A bundle that was carried: every way in which it may have arrived otherwise is said in one line."""

import subprocess
from pathlib import Path

import pytest

from scripts.bundle import layout
from tests.bundles import make_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle", tmp_path / "source")


def test_sha256sum_reads_the_sums(bundle: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", layout.SUMS], cwd=bundle, check=True)

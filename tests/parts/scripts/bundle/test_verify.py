"""The checksums of a bundle, read by another program."""

import subprocess
from pathlib import Path

import pytest

from scripts.bundle import layout
from tests.bundles import make_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle", tmp_path / "source")


def test_sha256sum_accepts_the_checksums(bundle: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", layout.SUMS], cwd=bundle, check=True)

"""The lanes of `make test`, and what `make test-gpu` runs instead."""

from scripts.cluster.config import ROOT
from scripts.commands import test_gpu
from scripts.commands.test import LANES


def test_every_folder_of_tests_is_in_one_lane() -> None:
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")}
    assert sorted([*(f"tests/{lane}" for lane in LANES), test_gpu.TESTS]) == sorted(f"tests/{one}" for one in folders)

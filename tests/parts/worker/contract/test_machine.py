"""The name of a kind of machine: the same where one measurement holds, another where kernels are chosen otherwise."""

import subprocess
import sys
from pathlib import Path

from worker.contract.machine import kind

ROOT = Path(__file__).parents[4]


def test_it_needs_the_standard_library_alone() -> None:
    show = "from worker.contract.machine import kind; from worker.contract.engine import read_engine; print(kind())"
    done = subprocess.run([sys.executable, "-ISc", f"import sys; sys.path.insert(0, '.'); {show}"], cwd=ROOT,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == kind()

"""What the tests start hears signals, however they were started themselves."""

import subprocess
import sys

from scripts.cluster.config import ROOT

INTERRUPTED = "tests/parts/scripts/test_main.py::test_an_interrupt_ends_a_command_without_a_traceback"


def test_an_interrupt_is_heard_where_the_tests_were_told_to_ignore_it() -> None:
    """As `nohup make test &` tells them."""
    code = f"trap '' INT HUP; exec '{sys.executable}' -m pytest -q -p no:cacheprovider {INTERRUPTED}"
    done = subprocess.run(["sh", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout

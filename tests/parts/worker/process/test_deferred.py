"""Deferred calls: executed at the latest when the process ends."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_calls_are_executed_before_the_process_ends() -> None:
    code = "from worker.process.deferred import DeferredCalls; DeferredCalls()(print, 'the end')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "the end\n"

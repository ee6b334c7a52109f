"""Work that no answer waits for."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_what_is_noted_last_is_done_before_the_process_ends() -> None:
    code = "from worker.process.deferred import DeferredCalls; Later()(print, 'the end')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "the end\n"

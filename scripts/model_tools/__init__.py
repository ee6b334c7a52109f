"""What `make model-add` and `make model-verify` run inside a serving environment, on the worker's own code.

This file alone needs nothing but the standard library: it starts them.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.cluster import ROOT
from worker.settings import offline_variables


def start(python: Path, tool: str, arguments: Sequence[str | Path], **options: Any) -> "subprocess.Popen[str]":
    """The running `tool`, from the root and kept off the network; `options` are Popen's."""
    command: list[str | Path] = [python, "-m", f"{__name__}.{tool}", *arguments]
    environ = os.environ | offline_variables() | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environ, text=True, **options)

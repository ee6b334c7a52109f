"""What `make model-add`, `model-fetch` and `model-verify` run in an environment, on the worker's own code.

This file alone needs nothing but the standard library: it starts them.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.base.errors import Refusal
from scripts.cluster.config import ROOT
from worker.contract.settings import offline_variables


def start(
    python: Path, tool: str, arguments: Sequence[str | Path], online: bool = False, **options: Any
) -> "subprocess.Popen[str]":
    """The running `tool`, from the root, and kept off the network unless `online`; `options` are Popen's."""
    command: list[str | Path] = [python, "-m", f"{__name__}.{tool}", *arguments]
    added = _quiet_variables() if online else offline_variables() | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | added, text=True, **options)


def run(python: Path, tool: str, arguments: Sequence[str | Path], online: bool = False) -> None:
    """Run `tool` to its end; it ends with this process. Raises Refusal when it fails, and it has then said why."""
    with start(python, tool, arguments, online) as process:
        try:
            process.wait()
        except BaseException:
            process.kill()
            raise
    require_success(process.returncode)


def require_success(status: int) -> None:
    """Raise Refusal for a tool that failed, and that has said why, or was killed."""
    if status < 0:
        raise Refusal(f"killed by signal {-status}; is there enough memory?")
    if status:
        raise Refusal()


def _quiet_variables() -> dict[str, str]:
    """What keeps the libraries from telling others about this machine, and from bars where no terminal shows them."""
    quiet = {name: value for name, value in offline_variables().items() if not name.endswith("_OFFLINE")}
    bars = {} if sys.stderr.isatty() else {"TQDM_DISABLE": "1"}
    return quiet | bars | {"MODELSCOPE_LOG_LEVEL": "CRITICAL"}

"""Run the commands of `make` inside the test's own process: a new process needs seconds to import torch.

`make --dry-run` prints the command to run, so that variables and command line are tested as usual. Tools run in this
process, too, except `fetch`: its libraries read their settings when they are imported.
"""

import importlib
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from scripts.__main__ import main
from scripts.base.options import from_json, to_json
from scripts.cluster.config import ROOT
from scripts.models import tools
from scripts.models.add import STOP_SIGNALS
from tests.service import bare_environment
from worker.contract.settings import offline_variables

MODULES = {name: f"{tools.__name__}.{name}" for name in ("add", "verify")}
MODULES |= {name: f"{tools.__name__}.{name}.__main__" for name in ("evaluate", "prepare")}
START_TOOL = tools.start


def make(*arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a target with its variables and further `environ`; return what `subprocess.run` of make would."""
    command = ["make", "--dry-run", "--no-print-directory", *arguments]
    dry_run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=bare_environment())
    out, err = StringIO(), StringIO()
    with (
        redirect_stdout(out), redirect_stderr(err), chdir(ROOT), _restored_state(),
        patch.dict(os.environ, environ or {}), patch.object(tools, "start", _start),
    ):  # fmt: skip
        status = main(shlex.split(dry_run.stdout)[3:])  # after python3 -m scripts
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


class FinishedTool:
    """A tool that has run in this process, with the interface of a process that its caller uses."""

    def __init__(self, status: int, output: str) -> None:
        self.returncode, self.stdout = status, StringIO(output)

    def wait(self) -> int:
        return self.returncode

    def __enter__(self) -> "FinishedTool":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _start(python: Path, tool: str, folder: Path, options: Any = None, online: bool = False, **keywords: Any) -> Any:
    """Run `tool` in this process instead of starting it; capture its output if that goes to a pipe."""
    if tool not in MODULES:
        return START_TOOL(python, tool, folder, options, online, **keywords)
    captured = StringIO()
    redirected = redirect_stdout(captured) if keywords.get("stdout") == subprocess.PIPE else nullcontext()
    # Pass the options through JSON, as on the way to another process.
    received = [from_json(type(options), to_json(options))] if options else []
    with redirected, patch.dict(os.environ, offline_variables()):
        status = importlib.import_module(MODULES[tool]).main(folder, *received)
    return FinishedTool(status, captured.getvalue())


@contextmanager
def _restored_state() -> Iterator[None]:
    """Restore the umask and the signal handlers that a command changes."""
    umask, handlers = os.umask(0o022), {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        os.umask(umask)
        for number, handler in handlers.items():
            signal.signal(number, handler)

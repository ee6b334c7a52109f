"""Run commands of the kit as processes, one after the other, and read their lines as a user at a terminal does."""

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

from scripts.base.console import say
from scripts.cluster.config import ROOT

MAX_LINES = 200
STEP, FAULT = "-- ", "!! "  # with which base/console.py begins a line
COUNT = re.compile(r"^ +(\d+)/(\d+) images")
# What the first words of a step stand for; the page has a text for each.
STAGES = {
    "Python environment": "environment",
    "reading": "reading",
    "looking at": "looking",
    "learning": "learning",
    "comparing": "comparing",
    "writing": "writing",
    "starting": "starting",
    "switching": "switching",
    "stopping": "stopping",
}
RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"


class Job:
    """Commands of the kit: `kind` is "teach" or "use", `name` the model's; who runs it sets `outcome`."""

    def __init__(self, kind: str, name: str, commands: Sequence[Sequence[str]]) -> None:
        self.kind, self.name, self.outcome = kind, name, RUNNING
        self.stage, self.done, self.total = "", 0, 0
        self.lines = deque[str](maxlen=MAX_LINES)
        self.summary: dict[str, Any] | None = None  # of what was taught
        self._commands = commands
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._lock = Lock()

    def run(self) -> str:
        """Run the commands until one fails, and return the outcome."""
        for command in self._commands:
            if status := self._run(command):
                if status < 0:
                    self.lines.append(f"{FAULT}killed by signal {-status}; is there enough memory?")
                return STOPPED if self._stopped else FAILED
        return DONE

    def stop(self) -> None:
        """End the command that runs as Ctrl-C does: it leaves nothing half-written."""
        with self._lock:
            self._stopped = True
            if self._process and self._process.poll() is None:
                with suppress(ProcessLookupError):
                    self._process.send_signal(signal.SIGTERM)

    @property
    def faults(self) -> list[str]:
        return [line.removeprefix(FAULT) for line in self.lines if line.startswith(FAULT)]

    def _run(self, command: Sequence[str]) -> int:
        with self._lock:
            if self._stopped:
                return 1
            # A session of its own, or Ctrl-C would end it before this service can say so.
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "scripts", *command], cwd=ROOT, env=_environment(), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
        with process:
            for line in process.stdout or ():
                self._read(line.rstrip("\n"))
        return process.returncode

    def _read(self, line: str) -> None:
        say(f"   | {line}")
        self.lines.append(line)
        if counted := COUNT.match(line):
            self.done, self.total = map(int, counted.groups())
        elif line.startswith(STEP):
            step = line.removeprefix(STEP)
            self.stage = next((stage for words, stage in STAGES.items() if step.startswith(words)), "")
            self.done = self.total = 0


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONIOENCODING": "utf-8:backslashreplace"}

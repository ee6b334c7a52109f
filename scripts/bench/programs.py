"""Run programs on chosen CPUs, call functions in other environments, and end servers with all their processes.

`python -m scripts.bench.programs` reads a JSON list from its input, a function as MODULE:NAME and its arguments, and
writes what the function returns as JSON.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from scripts.base.errors import CommandError
from scripts.bench import procfs
from scripts.cluster.config import ROOT
from scripts.runtimes.preflight import port_faults

TERMINATE_TIMEOUT_S = 15  # after SIGTERM, until SIGKILL
PORTS = (10_000, 32_000)  # below Linux's ephemeral ports
LOG_LINES = 10
Cpus = frozenset[int]


def run_pinned(argv: Sequence[object], cpus: Cpus, text: str = "", environ: Mapping[str, str] | None = None) -> str:
    """Run a program on `cpus` with `text` as its input; return its output, or raise CommandError if it fails."""
    options: dict[str, Any] = {"cwd": ROOT, "env": environ, "input": text, "capture_output": True, "text": True}
    words = [str(word) for word in argv]
    process = subprocess.run(words, **options, preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    if process.returncode:
        raise CommandError(f"{' '.join(words[:4])}: failed:", *process.stderr.splitlines()[-LOG_LINES:])
    return process.stdout


def call(
    python: Path | str, cpus: Cpus, function: str, *arguments: object, environ: Mapping[str, str] | None = None
) -> Any:
    """Return what `function`, MODULE:NAME of this package, returns in a process of `python` on `cpus`."""
    text = json.dumps([function, *arguments], default=str)
    return json.loads(run_pinned([python, "-m", "scripts.bench.programs"], cpus, text, environ))


def run_command(name: str, *arguments: object) -> None:
    """Run a command of `scripts` as a user does; raise CommandError with its error output if it fails."""
    run_pinned([sys.executable, "-m", "scripts", name, *arguments], frozenset(os.sched_getaffinity(0)))


def free_ports(count: int) -> int:
    """Return the first of `count` consecutive free ports."""
    while port_faults(range(first := random.randrange(*PORTS), first + count)):  # noqa: S311
        pass
    return first


def terminate(process: "subprocess.Popen[bytes]") -> None:
    """Send SIGTERM to the process, then SIGKILL to what is left of its descendants and of its process group."""
    descendants = procfs.process_tree([process.pid])
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(TERMINATE_TIMEOUT_S)
    for pid in descendants:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    function, *arguments = json.load(sys.stdin)
    module, _, name = function.partition(":")
    json.dump(getattr(import_module(f"scripts.bench.{module}"), name)(*arguments), sys.stdout)

"""Run this project's own commands, as a user does, and find free ports for them."""

import random
import subprocess
import sys
from collections.abc import Sequence

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.runtimes.preflight import port_faults

PORTS = (10_000, 32_000)  # below Linux's ephemeral ports


def run_command(name: str, arguments: Sequence[str]) -> None:
    """Run a command of `scripts`; raise CommandError with its error output if it fails."""
    process = subprocess.run(
        [sys.executable, "-m", "scripts", name, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    if process.returncode:
        raise CommandError(f"`{name}` failed:", *process.stderr.splitlines())


def free_ports(count: int) -> int:
    """Return the first of `count` consecutive free ports."""
    while port_faults(range(first := random.randrange(*PORTS), first + count)):  # noqa: S311
        pass
    return first

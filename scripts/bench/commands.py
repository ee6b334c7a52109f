"""The bench as a user of this project: its own commands, on ports that are free."""

import random
import subprocess
import sys
from collections.abc import Sequence

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.runtimes.preflight import port_faults

PORTS = (10_000, 32_000)  # below those that clients are given


def command(name: str, arguments: Sequence[str]) -> None:
    """Run a command of `scripts`; raises CommandError with what it said when it fails."""
    done = subprocess.run([sys.executable, "-m", "scripts", name, *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise CommandError(f"`{name}` failed:", *done.stderr.splitlines())


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that can be listened on."""
    while port_faults(range(first := random.randrange(*PORTS), first + count)):  # noqa: S311
        pass
    return first

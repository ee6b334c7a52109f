"""Run this server's programs, and read what it says of itself."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.bootstrap import engine_api

Result = subprocess.CompletedProcess[str]
WHY = re.compile(r"(E:|Error|dpkg: error|mount: ).*", re.DOTALL)
NOT_FOUND = 127  # a shell's status for a program that is not there
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_signals: list[int] = []


class Interrupted(BaseException):
    """A signal asked this script to stop; `status` is that of a shell which a signal ended."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


def defer_signals() -> None:
    """Let Ctrl-C and its like wait for the program that runs: half a package is worse than a second more."""
    for number in STOPPING:
        signal.signal(number, lambda number, _: _signals.append(number))


def default_signals() -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    _signals.clear()


def stop_if_asked() -> None:
    """Raise Interrupted if a signal has arrived since `defer_signals`."""
    if _signals:
        raise Interrupted(_signals[0])


def run(*command: str | Path, environ: Mapping[str, str] | None = None) -> Result:
    """Run a program to its end and return what it printed; raise Interrupted if a signal came meanwhile."""
    full = None if environ is None else os.environ | environ
    try:
        done = subprocess.run(
            list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="surrogateescape", env=full,
        )  # fmt: skip
    except OSError as error:
        done = subprocess.CompletedProcess(list(map(str, command)), NOT_FOUND, "", f"{command[0]}: {error.strerror}\n")
    stop_if_asked()
    return done


def succeeds(*command: str | Path) -> bool:
    return run(*command).returncode == 0


def ask(*command: str | Path) -> str:
    """Return what a program prints, without the last newline; "" if it fails."""
    done = run(*command)
    return "" if done.returncode else done.stdout.strip()


def must(fault: str, *command: str | Path) -> str:
    """Return what a program prints; raise CommandError with `fault`, whose {} is the reason, if it fails."""
    done = run(*command)
    if done.returncode:
        raise CommandError(fault.format(reason(done)))
    return done.stdout.strip()


def reason(done: Result) -> str:
    """Return the line of a failed program's output that says why it failed."""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return next(filter(WHY.match, lines), lines[-1] if lines else "it printed nothing")


def has(program: str) -> bool:
    return shutil.which(program) is not None


def text_of(path: Path | str) -> str:
    """Return the file's text; "" if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def mount_info() -> str:
    return text_of("/proc/self/mountinfo")


def systemd_runs() -> bool:
    return Path("/run/systemd/system").is_dir()


def docker_answers() -> bool:
    """While the volume is missing, systemd does not start docker.service, and a client of docker.socket would hang."""
    active = not systemd_runs() or succeeds("systemctl", "--quiet", "is-active", "docker")
    return active and succeeds("docker", "version")


def swarm_state() -> str:
    """Return the state of this node, such as "active"; "" if no engine answers."""
    return engine_api.swarm().get("LocalNodeState", "") if docker_answers() else ""


def free_mb(path: Path) -> int:
    """Return the free megabytes of the disk where `path` is, or will be."""
    while not path.is_dir():
        path = path.parent
    return shutil.disk_usage(path).free // 1_000_000

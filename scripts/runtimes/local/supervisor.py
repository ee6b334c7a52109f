"""Start supervisord, and control its processes over its socket."""

import contextlib
import http.client
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy, Transport

from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.render.observability import PROGRAM as PROMETHEUS
from scripts.runtimes.run_directory import RunDir

START_TIMEOUT_S = 120  # generous: a busy machine takes long, and what fails says so before
STOP_INTERVAL_S = 0.25  # between two looks at what is being stopped
GATEWAY = ("gate-watch", "gate", "nginx", "nginx-log")  # in the order in which they are stopped
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
ENDED_STATES, FAILED = ("STOPPED", "EXITED", "FATAL"), "BACKOFF"


@dataclass(frozen=True)
class Process:
    """supervisord's view of a process; `pid` is 0 while it does not run."""

    state: str  # RUNNING, STARTING, BACKOFF between two starts, ...
    pid: int
    started: int = 0  # the time of its last start, in seconds since 1970


def start(run: RunDir, python: Path, prefix: Sequence[str], environ: Mapping[str, str]) -> None:
    """Start supervisord behind the command line `prefix`, with no environment but `environ`.

    Raise CommandError if it does not start.
    """
    result = subprocess.run([*prefix, *command(run, python)], env=environ, capture_output=True, text=True)
    if result.returncode or not wait_until(lambda: is_running(run), START_TIMEOUT_S):
        raise CommandError(
            f"supervisord did not start: {(result.stderr or result.stdout).strip() or 'see ' + str(run.logs)}"
        )


def command(run: RunDir, python: Path) -> list[str | Path]:
    """Return the command that starts supervisord in the background."""
    return [python.parent / "supervisord", "-c", run.config]


def is_running(run: RunDir) -> bool:
    """Return whether this run directory's supervisord is running."""
    return bool(pid_of(run))


def pid_of(run: RunDir) -> int:
    """Return the process id of this run directory's supervisord, 0 if it does not run."""
    try:
        pid = int(run.pid_file.read_text())
        is_own = str(run.config).encode() in Path(f"/proc/{pid}/cmdline").read_bytes() and run.socket.exists()
    except (OSError, ValueError):
        return 0
    return pid if is_own else 0


def processes(run: RunDir) -> dict[str, Process]:
    """Return process name -> process; empty if no supervisord answers. Raise CommandError if it refuses.

    Only names that the kit gives count: the account of the service may answer in supervisord's place, and what root
    does with a name must not lead out of the run directory.
    """
    rows = _call_if_running(run, "getAllProcessInfo") or []
    return {
        row["name"]: Process(row["statename"], row["pid"], row["start"]) for row in rows if NAME.fullmatch(row["name"])
    }


def workers(run: RunDir) -> set[str]:
    """Return the names of the workers that supervisord knows."""
    return processes(run).keys() - {*GATEWAY, PROMETHEUS}


def update_gate(run: RunDir) -> None:
    """Have supervisord read its configuration again, and restart all but the workers and Nginx by it.

    Nginx holds the sockets on which clients wait. Raise CommandError if supervisord refuses.
    """
    kept = {*workers(run), "nginx"}
    ((added, changed, removed),) = _call_if_running(run, "reloadConfig") or (([], [], []),)
    remove(run, {"gate", *changed, *removed} - kept)
    for name in sorted({"gate", *added, *changed} - kept):
        _call_if_running(run, "addProcessGroup", name)


def add(run: RunDir, name: str) -> None:
    """Start a process that has been added to the rendered list; raise CommandError if supervisord refuses."""
    _call_if_running(run, "reloadConfig")
    _call_if_running(run, "addProcessGroup", name)


def remove(run: RunDir, names: Iterable[str]) -> None:
    """Stop the processes, all at the same time, and forget them; ignore unknown names.

    Raise CommandError if supervisord refuses.
    """
    remaining = set(names) & processes(run).keys()
    while remaining:
        for name in remaining:  # repeatedly: a crashing process may be between two starts
            _call_if_running(run, "stopProcessGroup", name, False)
        time.sleep(STOP_INTERVAL_S)
        known = processes(run)
        for name in [name for name in remaining if known[name].state in ENDED_STATES]:
            with contextlib.suppress(Fault):
                _call(run, "removeProcessGroup", name)
                remaining.remove(name)


def stop(run: RunDir) -> None:
    """Stop all processes, the gateway first, and supervisord itself; raise CommandError if it refuses."""
    names = processes(run).keys()
    for name in GATEWAY:
        if name in names:
            _call_if_running(run, "stopProcessGroup", name)
    for name in names - set(GATEWAY):
        # All at the same time: each takes seconds to drain, and `shutdown` would stop them one after another.
        _call_if_running(run, "stopProcessGroup", name, False)
    _call_if_running(run, "shutdown")
    wait_until(lambda: not is_running(run))


class _Connection(http.client.HTTPConnection):
    """HTTP over supervisord's Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.fsencode(self.path))


class _Transport(Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def make_connection(self, host: object) -> _Connection:
        return _Connection(self.path)


def _call(run: RunDir, method: str, *arguments: str | bool) -> Any:
    """Return supervisord's answer over its socket; raise Fault if it refuses, CommandError if rights are missing."""
    try:
        with ServerProxy("http://localhost", transport=_Transport(run.socket)) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)
    except PermissionError:
        raise CommandError(
            f"{run.socket}: no permission: needed the account that started this service, or root"
        ) from None


def _call_if_running(run: RunDir, method: str, *arguments: str | bool) -> Any:
    """Return supervisord's answer, or None if it does not answer; raise CommandError if it refuses."""
    try:
        return _call(run, method, *arguments)
    except Fault as fault:
        raise CommandError(
            f"supervisord rejected {method} {' '.join(map(str, arguments))}: {fault.faultString}"
        ) from None
    except (OSError, http.client.HTTPException):
        return None

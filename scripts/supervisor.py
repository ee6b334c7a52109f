"""supervisord, started and asked."""

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from scripts.refusal import Refusal
from scripts.rundir import RunDir

START_S = 20
ORPHANS_S = 30  # a worker drains and answers what it has


def start(run: RunDir, python: Path, account: pwd.struct_passwd, environ: Mapping[str, str]) -> None:
    """Start supervisord under `account` with just `environ`; raises Refusal when it does not come up."""
    as_account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(
        [python.parent / "supervisord", "-c", run.config], env=environ, capture_output=True, text=True, **as_account
    )  # type: ignore[call-overload]
    deadline = time.monotonic() + START_S
    while done.returncode == 0 and time.monotonic() < deadline:
        if is_running(run):
            return
        time.sleep(0.05)
    raise Refusal(f"supervisord did not start: {(done.stderr or done.stdout).strip() or 'see ' + str(run.logs)}")


def is_running(run: RunDir) -> bool:
    """Whether a supervisord of this run directory lives."""
    try:
        pid = int(run.pid_file.read_text())
        return str(run.config).encode() in Path(f"/proc/{pid}/cmdline").read_bytes() and run.socket.exists()
    except (OSError, ValueError):
        return False


def control(run: RunDir, python: Path, *arguments: str) -> str:
    """What `supervisorctl` answers; its own exit status says too little to be of use. Raises Refusal."""
    if run.socket.exists() and not os.access(run.socket, os.W_OK, effective_ids=True):
        raise Refusal(f"{run.socket}: no permission: needed the account that started this service, or root")
    command: list[str | Path] = [python.parent / "supervisorctl", "-c", run.config, *arguments]
    return subprocess.run(command, capture_output=True, text=True).stdout


def states(run: RunDir, python: Path) -> dict[str, str]:
    """The state of every process, by name: RUNNING, STARTING, BACKOFF, FATAL, ..."""
    rows = [line.split() for line in control(run, python, "status").splitlines()]
    return {row[0].rpartition(":")[2]: row[1] for row in rows if len(row) > 1}


def stop(run: RunDir, python: Path) -> None:
    """Stop all processes, gateway first, and wait until supervisord itself is gone. Raises Refusal."""
    control(run, python, "shutdown")
    while is_running(run):
        time.sleep(0.1)


def end_orphans(run: RunDir) -> None:
    """End what a supervisord that was killed left behind: every process whose home is this run directory."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + ORPHANS_S
        for pid in orphans(run):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)
        while orphans(run) and time.monotonic() < deadline:
            time.sleep(0.1)


def orphans(run: RunDir) -> list[int]:
    """The processes that were started from this run directory and still live."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"HOME={run.path}".encode() in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
    return found

"""The Docker engine as a service of this server, with systemd or without."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.bootstrap import places
from scripts.bootstrap.machine import docker_answers, has, must, run, stop_if_asked, systemd_runs, text_of
from scripts.bootstrap.record import Record

START_S = 300  # a busy machine takes minutes
PID_FILE = Path("/var/run/docker.pid")
SEE_JOURNAL = "see journalctl --unit docker"


def remember(record: Record) -> None:
    """Record, once, whether Docker was running before any change."""
    if not record.of("docker"):
        state = "running" if docker_answers() else "stopped" if has("dockerd") else "absent"
        record.add("docker", state)


def start(record: Record) -> None:
    remember(record)
    places.RESTART.unlink(missing_ok=True)  # a start reads the current configuration
    if systemd_runs():
        run("systemctl", "daemon-reload")
        must(f"systemd could not start Docker: {SEE_JOURNAL}", "systemctl", "enable", "--quiet", "--now", "docker")
    else:
        if not places.DOCKER_LOG.exists():
            record.remember("file", places.DOCKER_LOG)
        with places.DOCKER_LOG.open("ab") as log:
            # A session of its own keeps it running after the caller ends.
            command = ["setsid", "--fork", "dockerd"]
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
    _await()


def restart(record: Record) -> None:
    if systemd_runs():
        run("systemctl", "daemon-reload")
        must(f"systemd could not restart Docker: {SEE_JOURNAL}", "systemctl", "restart", "docker")
        _await()
        places.RESTART.unlink(missing_ok=True)
    else:
        stop()
        start(record)


def stop() -> None:
    if systemd_runs():
        run("systemctl", "stop", "docker.socket", "docker", "containerd")
        return
    if pid := text_of(PID_FILE).strip():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGTERM)
        wait_until(lambda: _has_ended(pid))


def undo(record: Record, was: str) -> None:
    """All later changes are undone by now: let Docker run as it did before, or not at all.

    One that somebody has stopped since stays so, but not one that this run was about to restart.
    """
    if was != "running":
        stop()
    elif docker_answers() or places.RESTART.exists():
        restart(record)
    if systemd_runs():
        run("systemctl", "daemon-reload")


def _await() -> None:
    if not wait_until(docker_answers, START_S, 0.2):
        last = text_of(places.DOCKER_LOG).strip().splitlines()[-1:] or [SEE_JOURNAL]
        raise CommandError(f"Docker did not answer within {START_S} seconds: {last[0]}")


def _has_ended(pid: str) -> bool:
    stop_if_asked()
    state = text_of(f"/proc/{pid}/stat").rpartition(") ")[2][:1]
    return state in ("", "Z")

"""The messages about a Docker engine that is unsuitable or missing, with a stand-in for the docker command."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host import docker

FakeDocker = Callable[[str, str], None]


@pytest.fixture
def fake_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """Put a `docker` first on PATH that runs one shell line for `docker version`, and one for `docker compose`."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def write(version: str, compose: str) -> None:
        program = tmp_path / "docker"
        program.write_text(
            f'#!/bin/sh\ncase "$1" in\nversion) {version} ;;\ncompose) {compose} ;;\n*) exit 9 ;;\nesac\n'
        )
        program.chmod(0o755)

    return write


DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"


@pytest.mark.parametrize(
    ("version", "compose", "fault"),
    [
        ("echo 25.0.0", "echo 2.24.0", None),
        ("echo 28.5.2+dfsg4", "echo 2.40.3-3", None),
        ("echo 28.5.2", "echo v2.40.3", None),
        ("echo 30.1", "echo 5.0.1", None),
        ("echo 24.0.9", "echo 2.40.3", "found Docker 24.0.9, needed 25.0 or newer: upgrade it"),
        ("echo 9.1", "echo 2.40.3", "found Docker 9.1, needed 25.0 or newer: upgrade it"),
        ("echo 28.5.2", "echo 2.9.0", "found Compose 2.9.0, needed 2.24 or newer: upgrade its plugin"),
        ("echo 28.5.2", "echo 1.29.2", "found Compose 1.29.2, needed 2.24 or newer: upgrade its plugin"),
        ("echo 28.5.2", "exit 1", "found Docker without Compose v2, needed 2.24 or newer: install its plugin"),
        (
            f"echo '{DENIED}' >&2; exit 1", "echo 2.40.3",
            "found a Docker engine whose socket this account may not use: join the group docker, or run as root",
        ),
        (
            "echo first >&2; echo 'Is it running?' >&2; exit 1", "echo 2.40.3",
            "found no Docker engine that answers (Is it running?): start it, or set RUNTIME=local",
        ),
        (
            "exit 1", "echo 2.40.3",
            "found no Docker engine that answers (no answer): start it, or set RUNTIME=local",
        ),
    ],
)  # fmt: skip
def test_an_engine_is_checked_by_its_versions(
    fake_docker: FakeDocker, version: str, compose: str, fault: str | None
) -> None:
    fake_docker(version, compose)
    assert docker.engine_fault() == fault


def test_an_engine_that_does_not_answer_times_out(fake_docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "ANSWER_TIMEOUT_S", 0.5)
    fake_docker("exec sleep 600", "echo 2.40.3")
    assert docker.engine_fault() == (
        "found a Docker engine that does not answer within 0.5 seconds: see `systemctl status docker`; "
        "on a swarm member it waits for the model volume"
    )


PODMAN = "found Podman in Docker's place, which this kit does not know: install Docker, or set RUNTIME=local"


@pytest.mark.parametrize(
    "lines",
    [
        # podman-docker's command, as of Podman 4.3, and Docker's command with Podman's socket
        'case "$*" in --version) echo podman version 4.3.1 ;; *) echo 4.3.1 ;; esac',
        'case "$*" in --version) echo Docker version 28.2 ;; version) echo Podman Engine: ;; *) echo 4.3.1 ;; esac',
        'case "$*" in --version) echo podman version 3.4.4 ;; *) echo no such field >&2; exit 125 ;; esac',
    ],
)
def test_podman_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{lines}\n")
    (tmp_path / "docker").chmod(0o755)
    assert docker.engine_fault() == PODMAN


def test_docker_of_a_snap_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "snap").write_text("#!/bin/sh\necho 28.0.0\n")
    (tmp_path / "snap").chmod(0o755)
    (tmp_path / "bin/docker").symlink_to("../snap")  # as /snap/bin/docker leads to /usr/bin/snap
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    assert docker.engine_fault() == (
        "found Docker from a snap, which sees only users' folders: install Docker's own packages, or set RUNTIME=local"
    )


def test_a_missing_docker_command_has_its_own_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert docker.engine_fault() == "found no docker command: install Docker, or set RUNTIME=local"


def test_docker_output_is_returned_and_its_errors_raised(fake_docker: FakeDocker) -> None:
    fake_docker("echo one; echo two", "echo out; printf 'why\\n\\nnot\\n' >&2; exit 3")
    assert docker.run(["version"]) == "one\ntwo\n"
    with pytest.raises(CommandError) as error:
        docker.run(["compose", "up"])
    assert error.value.lines == ("`docker compose` failed:", "why", "not")


# The one module whose tests import no torch.
SYSTEM_TESTS = [sys.executable, "-m", "pytest", "tests/system/test_bundle.py", "-p", "no:cacheprovider"]


@pytest.mark.parametrize("ci", ["", "true"])
def test_without_an_engine_the_system_tests_are_skipped_in_one_line_and_fail_in_ci(ci: str) -> None:
    environ = os.environ | {"DOCKER_HOST": "unix:///nonexistent.sock", "CI": ci, "COLUMNS": "400"}
    done = subprocess.run(SYSTEM_TESTS, cwd=ROOT, env=environ, capture_output=True, text=True)
    reason = (
        "the system tests need a Docker engine: found no Docker engine that answers (Cannot connect to the Docker "
        "daemon at unix:///nonexistent.sock. Is the docker daemon running?): start it, or set RUNTIME=local"
    )
    skips = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert (done.returncode, len(skips)) == ((1, 0) if ci else (0, 1)), done.stdout
    assert reason in (done.stdout if ci else skips[0])

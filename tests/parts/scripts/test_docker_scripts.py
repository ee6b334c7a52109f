"""The messages of the two Docker scripts before they change anything."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ENGINE, BASE = "scripts/docker-engine.sh", "scripts/base-image.sh"


def run(*command: str, program: str = "") -> subprocess.CompletedProcess[str]:
    """The script where no engine can be reached."""
    environ = os.environ | {"DOCKER_HOST": "unix:///dev/null"}
    return subprocess.run(command, cwd=ROOT, input=program, capture_output=True, text=True, env=environ)


@pytest.mark.parametrize("script", [ENGINE, BASE])
def test_unknown_arguments_are_rejected(script: str) -> None:
    done = run(script, "--fast")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"!! unknown argument --fast: see {script} --help\n"


@pytest.mark.parametrize("script", [ENGINE, BASE])
def test_help_prints_the_header(script: str) -> None:
    header = (ROOT / script).read_text().split("\nset -euo")[0].splitlines()[1:]
    done = run(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [line.removeprefix("#").removeprefix(" ") for line in header]


def test_the_base_image_needs_an_engine() -> None:
    done = run(BASE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "!! no Docker engine answers this account: start one, or run scripts/docker-engine.sh as root\n"
    )


def test_only_root_can_install_an_engine() -> None:
    # Root drops its privileges; the script is read from stdin, since that account may not see the checkout.
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    done = run(*nobody, "bash", "-s", program=(ROOT / ENGINE).read_text())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "!! no Docker engine answers this account, and only root may install one: run this as root\n"
    )

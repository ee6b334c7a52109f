"""The Docker command line, and the versions of the engine and of Compose that the kit needs."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.host import systemd

MIN_ENGINE = (25, 0)  # the first whose health checks know --start-interval
MIN_COMPOSE = (2, 24)  # the first that accepts a missing env_file
LOCAL = "or set RUNTIME=local"
UNIT = "docker.service"
_GONE = re.compile(r"not found$|: no such ", re.IGNORECASE)  # what the engine says of an object that it does not have
ANSWER_TIMEOUT_S = 60.0  # clients of an engine that systemd holds back wait for ever, of a busy one for long


def engine_fault() -> str | None:
    """Return, in one line, why this machine cannot serve with Compose; None if it can."""
    if (program := shutil.which("docker")) and _is_snap(program):
        return f"found Docker from a snap, which sees only users' folders: install Docker's own packages, {LOCAL}"
    try:
        engine = _run(["docker", "version", "--format", "{{.Server.Version}}"], timeout_s=ANSWER_TIMEOUT_S)
    except FileNotFoundError:
        return "found no docker command: install Docker, or set RUNTIME=local"
    except subprocess.TimeoutExpired:
        return (
            f"found a Docker engine that does not answer within {ANSWER_TIMEOUT_S:g} seconds: "
            "see `systemctl status docker`; on a swarm member it waits for the model volume"
        )
    is_old = _numbers(engine.stdout) < MIN_ENGINE
    if (engine.returncode or is_old) and _is_podman():
        return f"found Podman in Docker's place, which this kit does not know: install Docker, {LOCAL}"
    if engine.returncode:
        return _unreachable(engine.stderr)
    if is_old:
        return f"found Docker {engine.stdout.strip()}, needed {_dotted(MIN_ENGINE)} or newer: upgrade it"
    compose = _run(["docker", "compose", "version", "--short"])
    if compose.returncode:
        return f"found Docker without Compose v2, needed {_dotted(MIN_COMPOSE)} or newer: install its plugin"
    if _numbers(compose.stdout) < MIN_COMPOSE:
        return f"found Compose {compose.stdout.strip()}, needed {_dotted(MIN_COMPOSE)} or newer: upgrade its plugin"
    return None


def _is_snap(program: str) -> bool:
    return program.startswith("/snap/") or Path(program).resolve().name == "snap"


def _is_podman() -> bool:
    """Return whether the docker command, or the engine that it asks, is Podman's."""
    try:
        return "podman" in (_output("--version") + _output("version")).lower()
    except subprocess.TimeoutExpired:
        return False


def _output(argument: str) -> str:
    result = _run(["docker", argument], timeout_s=ANSWER_TIMEOUT_S)
    return result.stdout + result.stderr


def run(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> str:
    """Return the standard output of `docker ARGUMENTS`; raise CommandError with its last error lines if it fails."""
    result = _run(["docker", *arguments], environ)
    if result.returncode:
        errors = [line for line in result.stderr.strip().splitlines() if line.strip()][-8:]
        raise CommandError(f"`docker {arguments[0]}` failed:", *errors)
    return result.stdout


def run_streaming(arguments: Sequence[str]) -> int:
    """Run `docker ARGUMENTS` with its output on this process's own; return its exit status."""
    return subprocess.run(["docker", *arguments]).returncode


def lines(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the lines that `docker ARGUMENTS` prints on both of its outputs, as they come."""
    with subprocess.Popen(["docker", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        yield from (line.decode(errors="replace").rstrip("\n") for line in process.stdout or ())


def run_combined_output(arguments: Sequence[str]) -> str:
    """Return the standard output, then the standard error, of `docker ARGUMENTS`, also if it fails."""
    result = _run(["docker", *arguments])
    return result.stdout + result.stderr


def inspect(kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what `docker inspect` says of each one in `names` that still exists; raise CommandError if it fails."""
    result = _run(["docker", "inspect", "--type", kind, *names])
    if faults := [line for line in result.stderr.splitlines() if line.strip() and not _GONE.search(line)]:
        raise CommandError("`docker inspect` failed:", *faults)
    objects: list[dict[str, Any]] = json.loads(result.stdout or "[]")
    return objects


def is_swarm_manager() -> bool:
    """Return whether an engine answers and manages a swarm."""
    try:
        result = _run(["docker", "info", "--format", "{{.Swarm.ControlAvailable}}"], timeout_s=ANSWER_TIMEOUT_S)
        return result.stdout.strip() == "true"
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def enable_at_boot() -> None:
    """Have systemd start the engine at boot, which then starts its containers; raise CommandError if that fails."""
    if systemd.fault() is None and systemd.shown(UNIT, "UnitFileState") == "disabled":
        step("Docker starts with this machine from now on")
        systemd.require("enable", UNIT)


def after_reboot() -> str:
    """Return a line that says what a reboot does to the engine's containers."""
    if not systemd.RUNNING.is_dir():
        return f"a reboot ends the service until Docker runs again: {systemd.fault()}"
    if systemd.shown(UNIT, "UnitFileState") in ("disabled", ""):
        return f"a reboot ends the service until Docker runs again: {UNIT} is not enabled"
    return "starts with this machine, which starts Docker"


def image_id(image: str) -> str:
    """Return the ID of the engine's `image`, REPOSITORY:TAG; nothing if it has none."""
    return known_images().get(image, "")


def tags(repository: str) -> list[str]:
    """Return the tags of the engine's images of `repository`, newest first."""
    return [tag for name, _, tag in (image.rpartition(":") for image in known_images()) if name == repository]


def known_images() -> dict[str, str]:
    """Return REPOSITORY:TAG -> ID of the engine's images, newest first; nothing without an engine that answers."""
    try:
        return _listed_images(os.environ.get("DOCKER_HOST", ""))
    except (CommandError, FileNotFoundError):
        return {}


@cache
def _listed_images(host: str) -> dict[str, str]:
    """Return the images of the engine that the command asks for `host`."""
    listed = run(["image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"])
    return dict(line.split() for line in listed.splitlines())


def forget_images() -> None:
    """Have the engine asked again for its images, after one was made or loaded."""
    _listed_images.cache_clear()


def _run(
    command: Sequence[str], environ: Mapping[str, str] | None = None, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=timeout_s)


def _unreachable(errors: str) -> str:
    if "permission denied" in errors.lower():
        return "found a Docker engine whose socket this account may not use: join the group docker, or run as root"
    reason = errors.strip().splitlines()[-1] if errors.strip() else "no answer"
    return f"found no Docker engine that answers ({reason}): start it, or set RUNTIME=local"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))

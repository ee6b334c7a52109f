"""The Docker command line, and what must hold of the engine behind it."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.base.errors import CommandError

LEAST_ENGINE = (25, 0)  # the first whose health checks can start often and go on seldom
LEAST_COMPOSE = (2, 24)  # the first that does without an env_file that is not there
ANSWER_S = 20.0  # an engine that systemd keeps from starting lets its clients wait for ever


def engine_fault() -> str | None:
    """What keeps this machine from serving with Compose, as one line; None when nothing does."""
    try:
        engine = _ask(["docker", "version", "--format", "{{.Server.Version}}"], limit_s=ANSWER_S)
    except FileNotFoundError:
        return "found no docker command: install Docker, or set RUNTIME=local"
    except subprocess.TimeoutExpired:
        return (
            f"found a Docker engine that does not answer within {ANSWER_S:g} seconds: "
            "look at `systemctl status docker`; on a member of a swarm it waits for the model volume"
        )
    if engine.returncode:
        return _unreachable(engine.stderr)
    if _numbers(engine.stdout) < LEAST_ENGINE:
        return f"found Docker {engine.stdout.strip()}, needed {_dotted(LEAST_ENGINE)} or newer: upgrade it"
    compose = _ask(["docker", "compose", "version", "--short"])
    if compose.returncode:
        return f"found Docker without Compose v2, needed {_dotted(LEAST_COMPOSE)} or newer: install its plugin"
    if _numbers(compose.stdout) < LEAST_COMPOSE:
        return f"found Compose {compose.stdout.strip()}, needed {_dotted(LEAST_COMPOSE)} or newer: upgrade its plugin"
    return None


def run(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> str:
    """What `docker ARGUMENTS` printed; raises CommandError with what it said when it fails."""
    done = _ask(["docker", *arguments], environ)
    if done.returncode:
        said = [line for line in done.stderr.strip().splitlines() if line.strip()][-8:]
        raise CommandError(f"`docker {arguments[0]}` failed:", *said)
    return done.stdout


def run_streaming(arguments: Sequence[str]) -> int:
    """Run `docker ARGUMENTS` with its output on ours; returns its exit status."""
    return subprocess.run(["docker", *arguments]).returncode


def run_combined_output(arguments: Sequence[str]) -> str:
    """All that `docker ARGUMENTS` printed, on both its outputs, whether it failed or not."""
    done = _ask(["docker", *arguments])
    return done.stdout + done.stderr


def inspect(kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """What the engine knows of each node, service or task of `names`, as far as it is still there."""
    found: list[dict[str, Any]] = json.loads(_ask(["docker", "inspect", "--type", kind, *names]).stdout or "[]")
    return found


def is_swarm_manager() -> bool:
    """Whether an engine answers that manages a swarm."""
    try:
        told = _ask(["docker", "info", "--format", "{{.Swarm.ControlAvailable}}"], limit_s=ANSWER_S)
        return told.stdout.strip() == "true"
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def image_exists(image: str) -> bool:
    """Whether the engine has `image`; no registry is asked."""
    return _ask(["docker", "image", "inspect", image]).returncode == 0


def _ask(
    command: Sequence[str], environ: Mapping[str, str] | None = None, limit_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=limit_s)


def _unreachable(said: str) -> str:
    if "permission denied" in said.lower():
        return "found a Docker engine whose socket this account may not use: join the group docker, or run as root"
    reason = said.strip().splitlines()[-1] if said.strip() else "no answer"
    return f"found no Docker engine that answers ({reason}): start it, or set RUNTIME=local"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))

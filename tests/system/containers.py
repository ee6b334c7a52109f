"""What the tests see of a service's containers, and do to them, by the plain docker command."""

import json
import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests

from scripts.host import docker
from scripts.runtimes.compose import containers
from scripts.runtimes.run_directory import RunDir
from tests.service import Service
from tests.wait import until

LIMIT_S = 600  # for a command that hangs, on a machine that may be busy
LOG_LINES = 40


@dataclass(frozen=True)
class Container:
    """One container of a service, by its name in the Compose file."""

    service: Service
    part: str

    @property
    def name(self) -> str:
        return f"{project(self.service)}-{self.part}-1"

    def inspect(self) -> dict[str, Any]:
        """All that the engine knows of it."""
        found: list[dict[str, Any]] = json.loads(docker.run(["inspect", self.name]))
        return found[0]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside it, as the account that it runs under; the caller judges its exit status."""
        arguments = ["docker", "exec", self.name, *command]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=LIMIT_S)

    def python(self, code: str, *arguments: str) -> str:
        """What Python code printed inside it."""
        done = self.run("python3", "-c", code, *arguments)
        assert done.returncode == 0, f"{self.name}: {done.stderr}"
        return done.stdout

    def logs(self) -> str:
        return docker.run(["logs", self.name])


def project(service: Service) -> str:
    return containers.project(RunDir(service.run_dir.resolve()))


def left_over(service: Service) -> list[str]:
    """The containers and networks that the engine has of this service."""
    chosen = ["--filter", f"label=com.docker.compose.project={project(service)}"]
    listed = [["ps", "--all", "--format", "{{.Names}}"], ["network", "ls", "--format", "{{.Name}}"]]
    return [name for command in listed for name in docker.run([*command, *chosen]).split()]


def volumes(service: Service) -> set[str]:
    """The volumes that the engine has of this service, by their names in the Compose files."""
    chosen = ["--filter", f"label=com.docker.compose.project={project(service)}"]
    return set(docker.run(["volume", "ls", *chosen, "--format", '{{.Label "com.docker.compose.volume"}}']).split())


def last_logs(service: Service) -> str:
    """The end of every container's log but for requests that went well, for a failure's report."""
    chosen = ["--filter", f"label=com.docker.compose.project={project(service)}"]
    names = docker.run(["ps", "--all", "--format", "{{.Names}}", *chosen]).split()
    return "".join(f"\n==> {name}\n{_end_of_log(name)}" for name in sorted(names))


def _end_of_log(name: str) -> str:
    done = subprocess.run(["docker", "logs", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return "\n".join([line for line in done.stdout.splitlines() if not re.search('"status": ?200', line)][-LOG_LINES:])


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines with which `make` has refused."""
    assert done.returncode != 0, done.stdout
    return [line.removeprefix("!! ") for line in done.stderr.splitlines() if line.startswith("!! ")]


def status(service: Service) -> dict[str, dict[str, Any]]:
    """What the gateway says of every worker, by name, as soon as it has a status: it refuses one that grew old."""
    answer = until(f"{service.endpoint} has a status", lambda: _fresh_status(service))
    return {worker["worker"]: worker for worker in answer["workers"]}


def _fresh_status(service: Service) -> dict[str, Any]:
    """The gateway's status; nothing while it has none, or does not answer."""
    with suppress(requests.RequestException):
        answer = requests.get(f"{service.endpoint}/status", timeout=60)
        return dict(answer.json()) if answer.ok else {}
    return {}


def workers_in(service: Service) -> set[str]:
    """The workers in rotation."""
    return {name for name, worker in status(service).items() if worker["in"]}

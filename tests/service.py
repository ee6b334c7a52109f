"""A whole service for the tests, run by `make` with its own cluster file, ports and run directory."""

import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts.cluster.config import ROOT
from scripts.runtimes.preflight import port_faults
from worker.contract.limits import LIMITS


@dataclass(frozen=True)
class Service:
    """One service: its cluster file, its run directory and its port."""

    cluster: Path
    run_dir: Path
    port: int
    root: Path = ROOT
    runtime: str = "local"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a make target on this service; the caller checks its exit status."""
        variables = (f"CLUSTER={self.cluster}", f"RUN_DIR={self.run_dir}", f"RUNTIME={self.runtime}")
        command = ["make", "--no-print-directory", *arguments, *variables]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, env=bare_environment())

    def up(self) -> str:
        """Start the service; return the output of `make up`."""
        result = self.make("up")
        if result.returncode:
            raise AssertionError(f"make up failed:\n{result.stdout}{result.stderr}{self.logs()}")
        return result.stdout

    def down(self) -> None:
        result = self.make("down")
        if result.returncode:
            raise AssertionError(f"make down failed:\n{result.stdout}{result.stderr}")

    def logs(self) -> str:
        """Return the end of every log, for the report of a failure."""
        return "".join(
            f"\n==> {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            for log in sorted(self.run_dir.glob("logs/*.log"))
        )


# For tests that are not about draining: workers may exit before the gate has taken them out of rotation.
NO_DRAIN = "[limits]\ndrain_s = 0\n"
# For tests that are not about a deadline, on a machine that may be busy: a line of the table of NO_DRAIN.
LONGEST_DEADLINE = f"deadline_s = {LIMITS['deadline_s'].maximum}\n"
PHOTOS = '[[models]]\nname = "photos"\nfolder = "worker/photos"\n'


def table(name: str, folder: Path) -> str:
    """Return the table of a model for a cluster file."""
    return f'[[models]]\nname = "{name}"\nfolder = "{folder}"\n'


def create(folder: Path, models: str = PHOTOS, extra: str = "") -> Service:
    """Return a service of two workers in `folder`, which is created; `extra` adds tables to the cluster file."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_ports(3)
    cluster = folder / "cluster.toml"
    cluster.write_text(f"port = {port}\n{models}\n{extra}")
    return Service(cluster, folder / "run", port)


def free_ports(count: int) -> int:
    """Return the first of `count` consecutive free ports, below the range of ephemeral ports."""
    while True:
        first = random.randrange(10_000, 32_000)
        if not port_faults(range(first, first + count)):
            return first


def bare_environment() -> dict[str, str]:
    """Return the environment without the variables of a surrounding make."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

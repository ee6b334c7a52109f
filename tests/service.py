"""A whole service for the tests: `make` run on a cluster file of its own, on free ports, in a run directory of its own."""

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts.cluster import ROOT


@dataclass(frozen=True)
class Service:
    """One service: its cluster file, its run directory and its port."""

    cluster: Path
    run_dir: Path
    port: int
    root: Path = ROOT

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a make target on this service; the caller judges its exit status."""
        return subprocess.run(
            ["make", "--no-print-directory", *arguments, f"CLUSTER={self.cluster}", f"RUN_DIR={self.run_dir}"],
            cwd=self.root, capture_output=True, text=True, env=bare_environment(),
        )  # fmt: skip

    def up(self) -> str:
        """Bring it up; returns what `make up` printed."""
        done = self.make("up")
        if done.returncode:
            raise AssertionError(f"make up failed:\n{done.stdout}{done.stderr}{self.logs()}")
        return done.stdout

    def down(self) -> None:
        done = self.make("down")
        if done.returncode:
            raise AssertionError(f"make down failed:\n{done.stdout}{done.stderr}")

    def logs(self) -> str:
        """The end of every log, for a failure's report."""
        return "".join(
            f"\n==> {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            for log in sorted(self.run_dir.glob("logs/*.log"))
        )


def create(folder: Path, models: str = '[[models]]\nname = "demo"\nfolder = "worker/demo"\n', extra: str = "") -> Service:
    """A service of two workers in `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_ports(3)
    cluster = folder / "cluster.toml"
    cluster.write_text(f"port = {port}\n{models}\n{extra}")
    return Service(cluster, folder / "run", port)


def free_ports(count: int) -> int:
    """The first of `count` ports in a row on which nothing listens."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        if first + count < 65536 and all(_is_free(port) for port in range(first, first + count)):
            return first


def bare_environment() -> dict[str, str]:
    """The environment without what a surrounding make would hand down."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0

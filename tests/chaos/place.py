"""What the rows disturb: a service of two real workers, its processes, and what they hold."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from scripts.bench import procfs
from scripts.cluster.config import load_cluster
from scripts.models.verified import record
from scripts.runtimes.local import files, supervisor
from scripts.runtimes.local.files import worker_ports
from scripts.runtimes.run_directory import RunDir
from tests import folders
from tests.cluster.load import OpenLoad, open_load
from tests.commands.services import make_here
from tests.local.faulty_worker import write_settings
from tests.local.gateway_harness import PROCESSES, ask
from tests.processes import children, command_line, descendants, frozen
from tests.service import Service, create, table
from tests.wait import until

POOL, OTHER = "bright", "other"  # two models with the same answers, of which one is served
LABEL = "cat"  # the best class of the golden image
RATE = 10.0  # requests a second, on a machine that may be busy


@dataclass(frozen=True)
class Place:
    """A running service, the image that its clients send, and how many do each second."""

    service: Service
    models: Path
    rate: float = RATE
    seed: int = 0  # of what is drawn at random

    @property
    def image(self) -> Path:
        return self.models / POOL / "golden/one.png"

    @property
    def model(self) -> str:
        """The model that is served."""
        return load_cluster(self.service.cluster).models[0].name

    @contextmanager
    def load(self) -> Iterator[OpenLoad]:
        """Send requests until the block ends; none is sent twice, and each answer is checked."""
        with open_load("127.0.0.1", self.service.port, self.image, self.rate, LABEL) as load:
            until("all workers answer", lambda: load.workers().keys() >= set(self.workers))
            yield load

    def get(self, path: str) -> tuple[int, Any]:
        reply = ask(self.service.port, "GET", path)
        return reply.status, json.loads(reply.body)

    def pid(self, program: str) -> int:
        return supervisor.processes(RunDir(self.service.run_dir))[program].pid

    def inner_pid(self, worker: str) -> int:
        """The process of the worker that answers."""
        return until("gunicorn has started it", lambda: children(self.pid(worker)))[0]

    @property
    def workers(self) -> list[str]:
        """The two workers that should be in rotation; a rollout gives them other names."""
        return sorted(worker_ports(RunDir(self.service.run_dir)))

    def workers_in(self) -> set[str]:
        return {worker["worker"] for worker in self.get("/status")[1].get("workers", []) if worker["in"]}

    def is_ready(self, worker: str) -> bool:
        """Whether the worker itself says so; the gate may not have noticed yet that it was away."""
        with contextlib.suppress(OSError):
            return ask(worker_ports(RunDir(self.service.run_dir))[worker], "GET", "/readyz").status == 200
        return False

    def back(self) -> None:
        """Wait until a new report of the gate has all workers in rotation, and the gateway is ready."""
        old = self.get("/status")[1].get("as_of")
        until("the gate reports", lambda: self.get("/status")[1].get("as_of", old) != old)
        until("all workers are in", lambda: self.workers_in() == set(self.workers))
        until("the gateway is ready", lambda: self.get("/readyz")[0] == 200)
        until("Nginx's former processes accept no more", lambda: self._accepting() <= PROCESSES)

    def _accepting(self) -> int:
        """How many processes of Nginx accept connections: those of before a reload do for a moment, by the old list."""
        return sum("shutting down" not in command_line(pid) for pid in children(self.pid("nginx")))

    def signal(self, program: str, number: signal.Signals) -> int:
        pid = self.pid(program)
        os.kill(pid, number)
        return pid

    @contextmanager
    def spoilt(self, worker: str, fault: str) -> Iterator[None]:
        """Let the worker fail as `fault` of faulty_worker.py says, until the block ends."""
        file = self.models / f"faulty/faults/{worker}"
        file.write_text(fault)
        try:
            yield
        finally:
            file.unlink()

    def held(self) -> AbstractContextManager[None]:
        """Freeze what starts processes again, until the block ends."""
        return frozen(supervisor.pid_of(RunDir(self.service.run_dir)))

    def holds(self) -> dict[str, tuple[int, int]]:
        """Return program -> kilobytes in memory and open files, of all its processes."""
        found = {}
        for name, process in supervisor.processes(RunDir(self.service.run_dir)).items():
            pids = [process.pid, *descendants(process.pid)]
            memory = sum(procfs.status(pid).get("VmRSS", 0) for pid in pids)
            found[name] = (int(memory), sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids))
        return found

    def memory(self) -> int:
        """Return the kilobytes in memory of all processes."""
        return sum(kilobytes for kilobytes, _ in self.holds().values())


@contextmanager
def running(home: Path, rate: float = RATE, seed: int = 0, limits: str = "") -> Iterator[Place]:
    """Start the service in `home`, and stop it at the end; its workers can be made to fail.

    `limits` is a table of its cluster file, without which it has the defaults.
    """
    models = home / "models"
    for name in (POOL, OTHER):
        record(models, folders.openvino_folder(models / name, name=name), good=True)
    settings = write_settings(models / "faulty")
    service = create(home / "service", table(POOL, models / POOL), limits)
    command = [str(settings) if part.endswith("gunicorn.conf.py") else part for part in files.GUNICORN]
    with patch.object(files, "GUNICORN", command):
        try:
            done = make_here(service, "up")
            assert done.returncode == 0, done.stdout + done.stderr + service.logs()
            yield Place(service, models, rate, seed)
        finally:
            done = make_here(service, "down")
            assert done.returncode == 0, done.stdout + done.stderr

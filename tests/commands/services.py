"""What these services share: limits that a busy machine does not reach, and a load that costs it little."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests import in_process
from tests.cluster.load import OpenLoad, open_load
from tests.processes import stat
from tests.service import LONGEST_DEADLINE, NO_DRAIN, Service
from tests.wait import until
from worker.contract.limits import LIMITS

LONGEST = f"{LONGEST_DEADLINE}inference_limit_s = {LIMITS['inference_limit_s'].maximum}\n"
PATIENT = NO_DRAIN + LONGEST
ONE_WORKER = "[[servers]]\nworkers = 1\n"
RATE_S = 3  # requests a second
ENOUGH = 6  # answers, to see whose they are


def make_here(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a make target on `service` in this process: a new one takes a second of a processor."""
    place = (f"CLUSTER={service.cluster}", f"RUN_DIR={service.run_dir}", f"RUNTIME={service.runtime}")
    return in_process.make(*arguments, *place)


@contextmanager
def nothing_lost(service: Service, image: Path, *models: str) -> Iterator[OpenLoad]:
    """Load during the block: `models` must answer all of it, and the last of them alone what is sent afterwards."""
    with open_load("127.0.0.1", service.port, image, RATE_S) as load:
        until("requests are answered", lambda: load.workers().total() > ENOUGH)
        yield load
        end = time.monotonic()
        until("requests are answered", lambda: load.workers(end).total() > ENOUGH)
    assert load.lost == []
    assert {worker.rpartition("-")[0] for worker in load.workers()} == set(models)
    assert {worker.rpartition("-")[0] for worker in load.workers(end)} == {models[-1]}


def processes(service: Service) -> dict[str, int]:
    """The process ids of the workers' masters, by worker name."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environ = dict(part.split("=", 1) for part in (entry / "environ").read_text().split("\0") if "=" in part)
            parent = int(stat(entry)[1])
        except OSError:
            continue
        if environ.get("HOME") == str(service.run_dir) and "WANWU_WORKER" in environ:
            found[int(entry.name)] = (environ["WANWU_WORKER"], parent)
    return {name: pid for pid, (name, parent) in found.items() if parent not in found}


def workers_in(service: Service) -> set[str]:
    status = requests.get(f"{service.endpoint}/status", timeout=60).json()
    return {worker["worker"] for worker in status["workers"] if worker["in"]}

"""Measure how fast the service and a single worker start, compared with a bare import of the worker's engine."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from statistics import median

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.bench.commands import free_ports, run_command
from scripts.cluster.config import ROOT, Cluster, load_cluster
from scripts.host.environments import SERVE, serving
from scripts.render import common as render
from scripts.runtimes.local.runtime import GUNICORN, LocalRuntime
from scripts.runtimes.run_directory import run_dir
from worker.contract.settings import offline_variables

READY_TIMEOUT_S = 60


def measure(cluster_file: Path, rounds: int) -> list[str]:
    """Return lines with the medians of `rounds` starts of a separate service; a running one is not touched."""
    with separate_service(cluster_file, "local") as arguments:
        step("one `make up` first, so that every package is installed")
        run_command("up", arguments)
        run_command("down", arguments)
        times = [(timed_up(arguments), _import_s(), _worker_s(arguments)) for _ in range(rounds)]
    up_s, import_s, worker_s = (median(column) for column in zip(*times, strict=True))
    return [
        f"`make up` of {cluster_file.name}, packages present, to its first answer: {up_s:.2f} s",
        f"its first worker, from its start to ready: {worker_s:.2f} s; a bare `import openvino`: {import_s:.2f} s",
    ]


def ready_s(cluster_file: Path, rounds: int) -> float:
    """Return the median seconds, over `rounds`, that the cluster's first worker takes from its start to ready."""
    with separate_service(cluster_file, "local") as arguments:
        return median(_worker_s(arguments) for _ in range(rounds))


@contextmanager
def separate_service(cluster_file: Path, runtime: str) -> Iterator[tuple[str, ...]]:
    """Yield the flags of a service like that of `cluster_file`, with other ports and a run directory of its own."""
    with tempfile.TemporaryDirectory(prefix="wanwu-") as folder:
        port = load_cluster(cluster_file).port
        copy = Path(folder) / "cluster.toml"
        copy.write_text(cluster_file.read_text().replace(f"port = {port}", f"port = {free_ports(3)}", 1))
        yield "--cluster", str(copy), "--run-dir", f"{folder}/run", "--runtime", runtime


def timed_up(arguments: Sequence[str]) -> float:
    """Return the seconds of a `make up`, until its first answer; take the service down again."""
    up_s = duration_s(lambda: run_command("up", arguments))
    run_command("down", arguments)
    return up_s


def _import_s() -> float:
    return duration_s(lambda: subprocess.run([SERVE.python, "-c", "import openvino"], check=True))


def duration_s(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def _worker_s(arguments: Sequence[str]) -> float:
    cluster, directory = load_cluster(Path(arguments[1])), Path(arguments[3])
    started = time.monotonic()
    with _running_worker(cluster, directory) as (process, address):

        def is_ready_or_ended() -> bool:
            return process.poll() is not None or get(f"http://{address}/readyz")[0] == HTTPStatus.OK

        if not wait_until(is_ready_or_ended, READY_TIMEOUT_S, 0.02) or process.poll() is not None:
            raise CommandError(f"the worker ended, or was not ready after {READY_TIMEOUT_S} seconds")
        return time.monotonic() - started


@contextmanager
def _running_worker(cluster: Cluster, directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    deployment = LocalRuntime().plan(cluster, run_dir(directory))
    worker = deployment.plan.workers[0]
    address = f"127.0.0.1:{deployment.ports[worker.name]}"
    environ = offline_variables() | render.worker_environment(cluster, worker, address) | {"PATH": os.environ["PATH"]}
    python = serving(deployment.models[worker.model].needs).python
    with directory.with_name("worker.log").open("wb") as log:
        process = subprocess.Popen([python, *GUNICORN], cwd=ROOT, env=environ, stdout=log, stderr=log)
    try:
        yield process, address
    finally:
        process.terminate()
        process.wait()

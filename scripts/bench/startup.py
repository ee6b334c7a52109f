"""How fast the service comes up and how much memory a worker holds, beside a bare import of its runtime."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from scripts import local, render
from scripts.ask import get
from scripts.cluster import ROOT, Cluster, load_cluster
from scripts.console import say, step
from scripts.environments import SERVE
from scripts.refusal import Refusal
from scripts.rundir import run_dir
from scripts.site import prepare
from worker.settings import offline_variables

ROUNDS = 3
LIMIT_S = 60


def measure(cluster_file: Path) -> None:
    """Print medians of interleaved rounds. The service that is up is left alone: this one has ports of its own."""
    with own_service(cluster_file, "local") as arguments:
        step("one `make up` first, so that every package is there")
        command("up", arguments)
        command("down", arguments)
        cluster = load_cluster(Path(arguments[1]))
        rounds = [(timed_up(arguments), _import_s(), *_worker(cluster, Path(arguments[3]))) for _ in range(ROUNDS)]
    up_s, import_s, ready_s, megabytes = (median(column) for column in zip(*rounds, strict=True))
    say(f"\nprocesses, medians of {ROUNDS} rounds")
    say(f"  make up, packages present, to the first answer  {up_s:6.2f} s")
    say(f"  a worker from its start to ready                {ready_s:6.2f} s   {ready_s / import_s:.1f} x its import")
    say(f"  a bare `import openvino`                        {import_s:6.2f} s")
    say(f"  a worker's memory, both its processes           {megabytes:6.0f} MB")


@contextmanager
def own_service(cluster_file: Path, runtime: str) -> Iterator[tuple[str, ...]]:
    """The flags of a service like that of `cluster_file`, on other ports and in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="wanwu-") as folder:
        port = load_cluster(cluster_file).port
        own = Path(folder) / "cluster.toml"
        own.write_text(cluster_file.read_text().replace(f"port = {port}", f"port = {port + 1000}", 1))
        yield "--cluster", str(own), "--run-dir", f"{folder}/run", "--runtime", runtime


def timed_up(arguments: Sequence[str]) -> float:
    """Seconds of a `make up`, to its answer; the service is taken down again."""
    spent = seconds(lambda: command("up", arguments))
    command("down", arguments)
    return spent


def _import_s() -> float:
    return seconds(lambda: subprocess.run([SERVE.python, "-c", "import openvino"], check=True))


def seconds(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def command(name: str, arguments: Sequence[str]) -> None:
    """Run a command of `scripts`; raises Refusal with what it said when it fails."""
    done = subprocess.run([sys.executable, "-m", "scripts", name, *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Refusal(f"`{name}` failed:", *done.stderr.splitlines())


def _worker(cluster: Cluster, place: Path) -> tuple[float, float]:
    """Seconds from start to ready, and resident megabytes after that, of the plan's first worker."""
    started = time.monotonic()
    with _running(cluster, place) as (process, address):
        while get(f"http://{address}/readyz")[0] != 200:
            if time.monotonic() - started > LIMIT_S:
                raise Refusal(f"the worker was not ready after {LIMIT_S} seconds")
            time.sleep(0.02)
        return time.monotonic() - started, _resident_megabytes(process.pid)


@contextmanager
def _running(cluster: Cluster, place: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    worker = prepare(cluster, run_dir(place)).plan.workers[0]
    address = f"127.0.0.1:{worker.port}"
    environ = offline_variables() | render.worker_environment(cluster, worker, address) | {"PATH": os.environ["PATH"]}
    with place.with_name("worker.log").open("wb") as log:
        process = subprocess.Popen([SERVE.python, *local.GUNICORN], cwd=ROOT, env=environ, stdout=log, stderr=log)
    try:
        yield process, address
    finally:
        process.terminate()
        process.wait()


def _resident_megabytes(pid: int) -> float:
    """VmRSS of a process and its children, as /proc states them (kB of 1024 bytes)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = [line for p in (pid, *children) for line in Path(f"/proc/{p}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024 / 1e6

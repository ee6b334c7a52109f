"""Start the servers to measure, and stop each with all its processes, by their ids, whatever happens."""

import contextlib
import http.client
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts._vendor import tomlkit
from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.bench import procfs
from scripts.bench.commands import free_ports, run_command
from scripts.bench.requests import encode
from scripts.bench.targets import SERVICE, Fixtures, Target
from scripts.cluster.config import ROOT
from worker.contract.cpu_list import format_cpu_list
from worker.contract.settings import offline_variables

START_TIMEOUT_S = 120  # a server that takes longer counts as not started
TERMINATE_TIMEOUT_S = 15  # after SIGTERM, until SIGKILL
LOG_LINES = 5


@dataclass(frozen=True)
class RunningServer:
    """A server that answers: the addresses of it and its workers, its processes, the seconds until its first answer."""

    address: str
    workers: Sequence[str]
    pids: Sequence[int]
    startup_s: float


@contextlib.contextmanager
def running(target: Target, fixtures: Fixtures, logs: Path) -> Iterator[RunningServer]:
    """Start `target` and stop it at the end; raise CommandError with the end of its log if it does not start."""
    with (_service if target.kind == SERVICE else _server)(target, fixtures, logs) as server:
        yield server


@contextlib.contextmanager
def _service(target: Target, fixtures: Fixtures, logs: Path) -> Iterator[RunningServer]:
    """Run `make up` on ports and in a directory of its own; the address of a single worker bypasses the gateway."""
    count = 1 if target.one_slot else target.workers
    port = free_ports(count + 1)
    with tempfile.TemporaryDirectory(prefix="wanwu-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the service's account must be able to enter
        cluster = Path(folder) / "cluster.toml"
        cluster.write_text(cluster_text(target, fixtures, port), encoding="utf-8")
        flags = ("--cluster", str(cluster), "--run-dir", f"{folder}/run", "--runtime", "local")
        started = time.monotonic()
        try:
            run_command("up", flags)
            startup_s = time.monotonic() - started
            pid = int((Path(folder) / "run/supervisord.pid").read_text())
            workers = [f"127.0.0.1:{port + 1 + index}" for index in range(count)]
            pids = _gunicorn_processes(pid) if target.one_slot else [pid]
            yield RunningServer(workers[0] if target.one_slot else f"127.0.0.1:{port}", workers, pids, startup_s)
        finally:
            _copy_logs(Path(folder) / "run/logs", logs / target.name)
            run_command("down", flags)


def cluster_text(target: Target, fixtures: Fixtures, port: int) -> str:
    """Return the target's cluster.toml; on one slot, it limits the plan to the first worker."""
    gpu: dict[str, Any] = {"gpus": [fixtures.gpu]}
    cpu: dict[str, Any] = {"cpus": format_cpu_list(fixtures.slots[0]), "workers": 1}
    servers = [gpu if fixtures.gpu else cpu] if target.one_slot else []
    return planned_text(fixtures.folders[target.model], port, servers)


def planned_text(folder: Path, port: int, servers: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return a cluster.toml for one model; without `servers`, it leaves the number of workers to the plan."""
    models = [{"name": "bench", "folder": str(folder)}]
    table = {"port": port, "limits": {"drain_s": 0}, "models": models, **({"servers": servers} if servers else {})}
    return str(tomlkit.dumps(table))


def _gunicorn_processes(pid: int) -> list[int]:
    return [child for child in procfs.process_tree([pid]) if b"gunicorn" in procfs.command_line(child)]


def _copy_logs(source: Path, destination: Path) -> None:
    destination.mkdir(parents=True, exist_ok=True)
    for log in source.glob("*.log"):
        (destination / log.name).write_bytes(log.read_bytes())


@contextlib.contextmanager
def _server(target: Target, fixtures: Fixtures, logs: Path) -> Iterator[RunningServer]:
    port = free_ports(1)
    address = f"127.0.0.1:{port}"
    cpus = fixtures.server_cpus(target)
    log = logs / f"{target.name}.log"
    started = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*map(str, target.command), address if target.command[-1] == "--bind" else str(port)],
            cwd=ROOT,
            env=server_environ(target.model, fixtures, port) | _threads(target),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )
    try:
        _wait_until_ready(process, target, fixtures, port, log)
        yield RunningServer(address, [address], [process.pid], time.monotonic() - started)
    finally:
        terminate(process)


def _threads(target: Target) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(target.threads)} if target.threads else {}


def server_environ(model: str, fixtures: Fixtures, port: int) -> dict[str, str]:
    """Return a server's environment: its settings and, of the caller's environment, only PATH and HOME."""
    system = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "BENTOML_DO_NOT_TRACK": "True"}
    settings = {
        "BENCH_PORT": str(port),
        "BENCH_ARCHITECTURE": model,
        "BENCH_WEIGHTS": str(fixtures.weights[model]),
        "BENCH_FOLDER": str(fixtures.folders[model]),
    }
    return system | offline_variables() | settings


def _wait_until_ready(
    process: subprocess.Popen[bytes], target: Target, fixtures: Fixtures, port: int, log: Path
) -> None:
    """Wait until the server answers an image with 200; raise CommandError if it ends or START_TIMEOUT_S passes."""
    content_type, body = encode(target.encoding, target.path, min(fixtures.images.iterdir()).read_bytes())
    last_answer = "nothing"

    def is_ready_or_ended() -> bool:
        nonlocal last_answer
        if process.poll() is not None:
            return True
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT_S)
        try:
            connection.request("POST", target.path, body, {"Content-Type": content_type})
            response = connection.getresponse()
            last_answer = f"{response.status}: {response.read(200).decode(errors='replace')}"
            return response.status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    if wait_until(is_ready_or_ended, START_TIMEOUT_S, 0.05) and process.poll() is None:
        return
    reason = f"ended with status {process.returncode}" if process.poll() is not None else f"answered {last_answer}"
    last_lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    raise CommandError(f"{target.title}: did not start: it {reason}; {log} ends with:", *last_lines)


def terminate(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to the process, then SIGKILL to each of its descendants and of its session that is left."""
    descendants = procfs.process_tree([process.pid])
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(TERMINATE_TIMEOUT_S)
    for pid in {*descendants, *procfs.session_processes(process.pid)}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()

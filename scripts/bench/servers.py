"""Start the servers to measure, and stop each with all its processes, by their ids, whatever happens."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts._vendor import tomlkit
from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.bench import procfs
from scripts.bench.client import Client, Job
from scripts.bench.targets import SERVER, SMALLEST, WORKER, Fixtures, Target
from scripts.cluster.config import ROOT
from scripts.runtimes.preflight import port_faults
from worker.contract.cpu_list import format_cpu_list
from worker.contract.settings import offline_variables

START_TIMEOUT_S = 120  # a server that takes longer counts as not started
TERMINATE_TIMEOUT_S = 15  # after SIGTERM, until SIGKILL
PORTS = (10_000, 32_000)  # below Linux's ephemeral ports
LOG_LINES = 10


@dataclass(frozen=True)
class RunningServer:
    """A server that answers: its address and its processes."""

    address: str
    pids: Sequence[int]


def run_pinned(
    argv: Sequence[object], cpus: frozenset[int], text: str = "", environ: Mapping[str, str] | None = None
) -> str:
    """Run a program on `cpus` with `text` as its input; return its output, or raise CommandError if it fails."""
    options: dict[str, Any] = {"cwd": ROOT, "env": environ, "input": text, "capture_output": True, "text": True}
    words = [str(word) for word in argv]
    process = subprocess.run(words, **options, preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    if process.returncode:
        raise CommandError(f"{' '.join(words[:4])}: failed:", *process.stderr.splitlines()[-LOG_LINES:])
    return process.stdout


def run_command(name: str, *arguments: object) -> None:
    """Run a command of `scripts` as a user does; raise CommandError with its error output if it fails."""
    run_pinned([sys.executable, "-m", "scripts", name, *arguments], frozenset(os.sched_getaffinity(0)))


def free_ports(count: int) -> int:
    """Return the first of `count` consecutive free ports."""
    while port_faults(range(first := random.randrange(*PORTS), first + count)):  # noqa: S311
        pass
    return first


def running(target: Target, fixtures: Fixtures, logs: Path) -> contextlib.AbstractContextManager[RunningServer]:
    """Start `target` and stop it at the end; raise CommandError with the end of its log if it does not start."""
    return (_server if target.kind == SERVER else _service)(target, fixtures, logs)


@contextlib.contextmanager
def _service(target: Target, fixtures: Fixtures, logs: Path) -> Iterator[RunningServer]:
    """Run `make up` on ports and in a directory of its own; the address of a single worker bypasses the gateway."""
    port = free_ports(target.workers + 1)
    with tempfile.TemporaryDirectory(prefix="wanwu-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the service's account must be able to enter
        cluster = Path(folder) / "cluster.toml"
        cluster.write_text(cluster_text(target, fixtures, port), encoding="utf-8")
        flags = ("--cluster", cluster, "--run-dir", f"{folder}/run", "--runtime", "local")
        try:
            run_command("up", *flags)
            pids = [int((Path(folder) / "run/supervisord.pid").read_text())]
            if target.kind == WORKER:
                pids = [pid for pid in procfs.process_tree(pids) if b"gunicorn" in procfs.command_line(pid)]
            yield RunningServer(f"127.0.0.1:{port + (target.kind == WORKER)}", pids)
        finally:
            with contextlib.suppress(OSError):
                shutil.copytree(Path(folder) / "run/logs", logs / target.name, dirs_exist_ok=True)
            run_command("down", *flags)


def cluster_text(target: Target, fixtures: Fixtures, port: int) -> str:
    """Return the target's cluster.toml; for a single worker, it limits the plan to the first one."""
    cpus = {"cpus": format_cpu_list(fixtures.slots[0]), "workers": 1} if fixtures.slots else {}
    servers = [{"gpus": [fixtures.gpu]} if fixtures.gpu else cpus] if target.kind == WORKER else []
    models = [{"name": "bench", "folder": str(fixtures.folders[target.model])}]
    table = {"port": port, "limits": {"drain_s": 0}, "models": models, **({"servers": servers} if servers else {})}
    return str(tomlkit.dumps(table))


@contextlib.contextmanager
def _server(target: Target, fixtures: Fixtures, logs: Path) -> Iterator[RunningServer]:
    port, cpus, log = free_ports(1), fixtures.server_cpus(target), logs / f"{target.name}.log"
    address = f"127.0.0.1:{port}"
    argv = [*map(str, target.command), address if target.command[-1] == "--bind" else str(port)]
    environ = server_environ(target.model, fixtures, port)
    environ |= {"OMP_NUM_THREADS": str(target.threads)} if target.threads else {}
    with log.open("wb") as out:
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out, "start_new_session": True}
        pin = lambda: os.sched_setaffinity(0, cpus)  # noqa: E731
        process = subprocess.Popen(argv, cwd=ROOT, env=environ, preexec_fn=pin, **options)
    try:
        _wait_until_ready(process, target, address, min(fixtures.images[SMALLEST].iterdir()), log)
        yield RunningServer(address, [process.pid])
    finally:
        terminate(process)


def server_environ(model: str, fixtures: Fixtures, port: int = 0) -> dict[str, str]:
    """Return a server's environment: its settings and, of the caller's environment, only PATH and HOME."""
    system = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "BENTOML_DO_NOT_TRACK": "True"}
    paths = {"BENCH_WEIGHTS": fixtures.weights.get(model, ""), "BENCH_FOLDER": fixtures.folders.get(model, "")}
    settings = {"BENCH_PORT": port, "BENCH_ARCHITECTURE": model, **paths}
    return system | offline_variables() | {name: str(value) for name, value in settings.items()}


def _wait_until_ready(process: subprocess.Popen[bytes], target: Target, address: str, image: Path, log: Path) -> None:
    """Wait until the server answers an image with 200; raise CommandError if it ends or START_TIMEOUT_S passes."""
    job = Job(address, target.path, target.encoding, {str(image): ""}, count=1, timeout_s=START_TIMEOUT_S)
    answer = "nothing"

    def is_ready_or_ended() -> bool:
        nonlocal answer
        client = Client(job)
        client.run()
        answer = next(iter(client.errors), "")
        return process.poll() is not None or not answer or answer.startswith("found")

    if wait_until(is_ready_or_ended, START_TIMEOUT_S, 0.05) and process.poll() is None:
        return
    reason = f"ended with status {process.returncode}" if process.poll() is not None else f"answered {answer}"
    last_lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    raise CommandError(f"{target.title}: did not start: it {reason}; {log} ends with:", *last_lines)


def terminate(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to the process, then SIGKILL to what is left of its descendants and of its process group."""
    descendants = procfs.process_tree([process.pid])
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(TERMINATE_TIMEOUT_S)
    for pid in descendants:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

"""Start the servers to measure, and stop each, whatever happens."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts._vendor import tomlkit
from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.bench import procfs
from scripts.bench.client import encode, post
from scripts.bench.fixtures import Fixtures
from scripts.bench.programs import LOG_LINES, free_ports, run_command, terminate
from scripts.bench.targets import SERVER, SMALLEST, WORKER, Target
from scripts.cluster.config import ROOT
from worker.contract.cpu_list import format_cpu_list

START_TIMEOUT_S = 300  # a server that takes longer counts as not started


Running = tuple[str, Sequence[int]]  # the address of a server that answers, and its processes


def running(target: Target, fixtures: Fixtures, logs: Path) -> contextlib.AbstractContextManager[Running]:
    """Start `target` and stop it at the end; raise CommandError with the end of its log if it does not start."""
    return (_server if target.kind == SERVER else _service)(target, fixtures, logs)


@contextlib.contextmanager
def _service(target: Target, fixtures: Fixtures, logs: Path) -> Iterator[Running]:
    """Run `make up` on ports and in a directory of its own; the address of a single worker bypasses the gateway."""
    port = free_ports(len(fixtures.slots) + 1)
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
            yield f"127.0.0.1:{port + (target.kind == WORKER)}", pids
        finally:
            with contextlib.suppress(OSError):
                shutil.copytree(Path(folder) / "run/logs", logs / target.name, dirs_exist_ok=True)
            run_command("down", *flags)


def cluster_text(target: Target, fixtures: Fixtures, port: int) -> str:
    """Return the target's cluster.toml; for a single worker, it limits the plan to the first one."""
    cpus = {"cpus": format_cpu_list(fixtures.slots[0]), "workers": 1}
    servers = {"servers": [{"gpus": [fixtures.gpu]} if fixtures.gpu else cpus]} if target.kind == WORKER else {}
    models = [{"name": "bench", "folder": str(fixtures.folders[target.model])}]
    return str(tomlkit.dumps({"port": port, "limits": {"drain_s": 0}, "models": models, **servers}))


@contextlib.contextmanager
def _server(target: Target, fixtures: Fixtures, logs: Path) -> Iterator[Running]:
    port, log = free_ports(1), logs / f"{target.name}.log"
    shape = {"workers": len(fixtures.slots), "threads": len(fixtures.slots[0]), "half": len(fixtures.cpus) // 2 or 1}
    argv = [str(word).format(port=port, **shape) for word in target.command]
    cpus, server = fixtures.server_cpus(target), f"127.0.0.1:{port}"
    options: dict[str, Any] = {"cwd": ROOT, "env": fixtures.environ(target.model), "stdin": subprocess.DEVNULL}
    options |= {"start_new_session": True, "preexec_fn": lambda: os.sched_setaffinity(0, cpus)}
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, **options)
    request = encode(target.encoding, min(fixtures.images[SMALLEST].iterdir()).read_bytes())
    answer = ""

    def is_ready_or_ended() -> bool:
        nonlocal answer
        answer = post(server, target.path, *request, "any", START_TIMEOUT_S)
        return process.poll() is not None or answer.startswith("found")

    try:
        if not wait_until(is_ready_or_ended, START_TIMEOUT_S) or process.poll() is not None:
            reason = f"answered {answer}" if process.poll() is None else f"ended with status {process.returncode}"
            last_lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
            raise CommandError(f"{target.title}: did not start: it {reason}; {log} ends with:", *last_lines)
        yield server, [process.pid]
    finally:
        terminate(process)

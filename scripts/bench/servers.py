"""Starting what is measured, and ending it again whatever happens: every process is known by its number."""

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
from scripts.bench.commands import command, free_ports
from scripts.bench.requests import content
from scripts.bench.targets import SERVICE, Material, Subject
from scripts.cluster.config import ROOT
from worker.contract.cpu_list import format_cpu_list
from worker.contract.settings import offline_variables

START_S = 120  # a server that takes longer does not start
END_S = 15  # after which a server that was told to end is killed
LOG_LINES = 5


@dataclass(frozen=True)
class Running:
    """A server that answers: its address, those of its workers, its first processes, seconds from start to answer."""

    address: str
    workers: Sequence[str]
    pids: Sequence[int]
    startup_s: float


@contextlib.contextmanager
def running(subject: Subject, material: Material, logs: Path) -> Iterator[Running]:
    """`subject`, answering. Raises CommandError, with the end of its log in `logs`, when it does not come to that."""
    with (_service if subject.kind == SERVICE else _server)(subject, material, logs) as found:
        yield found


@contextlib.contextmanager
def _service(subject: Subject, material: Material, logs: Path) -> Iterator[Running]:
    """`make up`, on ports and in a directory of its own; a single worker is asked past the gateway."""
    count = 1 if subject.one_slot else subject.workers
    port = free_ports(count + 1)
    with tempfile.TemporaryDirectory(prefix="wanwu-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the account that serves must get in
        cluster = Path(folder) / "cluster.toml"
        cluster.write_text(cluster_text(subject, material, port), encoding="utf-8")
        place = ("--cluster", str(cluster), "--run-dir", f"{folder}/run", "--runtime", "local")
        started = time.monotonic()
        try:
            command("up", place)
            startup_s = time.monotonic() - started
            pid = int((Path(folder) / "run/supervisord.pid").read_text())
            workers = [f"127.0.0.1:{port + 1 + index}" for index in range(count)]
            pids = _gunicorns(pid) if subject.one_slot else [pid]
            yield Running(workers[0] if subject.one_slot else f"127.0.0.1:{port}", workers, pids, startup_s)
        finally:
            _keep_logs(Path(folder) / "run/logs", logs / subject.name)
            command("down", place)


def cluster_text(subject: Subject, material: Material, port: int) -> str:
    """The cluster's file; with nothing but the first worker for a subject of one slot."""
    gpu: dict[str, Any] = {"gpus": [material.gpu]}
    cpu: dict[str, Any] = {"cpus": format_cpu_list(material.slots[0]), "workers": 1}
    return planned_text(
        material.folders[subject.model], port, [gpu if material.gpu else cpu] if subject.one_slot else []
    )


def planned_text(folder: Path, port: int, servers: Sequence[Mapping[str, Any]] = ()) -> str:
    """The cluster's file for one model, with as many workers as the plan makes of it."""
    models = [{"name": "bench", "folder": str(folder)}]
    table = {"port": port, "limits": {"drain_s": 0}, "models": models, **({"servers": servers} if servers else {})}
    return str(tomlkit.dumps(table))


def _gunicorns(pid: int) -> list[int]:
    return [one for one in procfs.family([pid]) if b"gunicorn" in procfs.command_line(one)]


def _keep_logs(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for log in source.glob("*.log"):
        (target / log.name).write_bytes(log.read_bytes())


@contextlib.contextmanager
def _server(subject: Subject, material: Material, logs: Path) -> Iterator[Running]:
    port = free_ports(1)
    address = f"127.0.0.1:{port}"
    cpus = material.server_cpus(subject)
    log = logs / f"{subject.name}.log"
    started = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*map(str, subject.command), address if subject.command[-1] == "--bind" else str(port)],
            cwd=ROOT, env=server_environ(subject.model, material, port) | _threads(subject),
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )  # fmt: skip
    try:
        _await_answer(process, subject, material, port, log)
        yield Running(address, [address], [process.pid], time.monotonic() - started)
    finally:
        end(process)


def _threads(subject: Subject) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(subject.threads)} if subject.threads else {}


def server_environ(model: str, material: Material, port: int) -> dict[str, str]:
    """What a server is told; nothing of the caller's shell but where programs and a home are."""
    given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "BENTOML_DO_NOT_TRACK": "True"}
    own = {
        "BENCH_PORT": str(port),
        "BENCH_ARCHITECTURE": model,
        "BENCH_WEIGHTS": str(material.weights[model]),
        "BENCH_FOLDER": str(material.folders[model]),
    }
    return given | offline_variables() | own


def _await_answer(process: subprocess.Popen[bytes], subject: Subject, material: Material, port: int, log: Path) -> None:
    """Return once an image is answered with 200; raises CommandError when the process ends or that takes too long."""
    kind, body = content(subject.form, subject.path, min(material.images.iterdir()).read_bytes())
    said = "nothing"

    def is_settled() -> bool:
        nonlocal said
        if process.poll() is not None:
            return True
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S)
        try:
            connection.request("POST", subject.path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            said = f"{answer.status}: {answer.read(200).decode(errors='replace')}"
            return answer.status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    if wait_until(is_settled, START_S, 0.05) and process.poll() is None:
        return
    ended = f"ended with status {process.returncode}" if process.poll() is not None else f"answered {said}"
    last = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    raise CommandError(f"{subject.title}: did not start: it {ended}; {log} ends with:", *last)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all below it: asked first, then killed, the latter by their own numbers."""
    family = procfs.family([process.pid])
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    for pid in {*family, *procfs.session(process.pid)}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()

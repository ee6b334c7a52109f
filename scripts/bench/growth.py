"""The gateway with 400 workers: real Nginx and gate in front of fake workers on 50 loopback "servers"."""

import asyncio
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.bench import procfs
from scripts.bench.programs import free_ports
from scripts.cluster.config import ROOT

WORKERS, SERVERS = 400, 50
SECONDS, PATIENCE_S, SETTLE_S, RELOAD_S = 15, 60, 3, 2
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"


@dataclass(frozen=True)
class FakeWorker:
    name: str
    model: str
    host: str
    port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @cached_property
    def answer(self) -> bytes:
        """Return the answer to GET /readyz of a worker that is ready."""
        facts = {"version": "1", "engine": "openvino", "precision": "int8", "in_flight": 0, "queued": 0}
        facts |= {"answered": {"images": 10**6, "durations_ms": {f"{2 ** (n / 8):.4g}": 10**4 for n in range(40)}}}
        facts |= {"state": "ready", "reason": None, "worker": self.name, "model": self.model}
        facts["model_info"] = {"name": self.model, "classes": 1000, "size": [224, 224], "labels": "imagenet"}
        body = json.dumps(facts)
        return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def cluster(workers: int, servers: int, first_port: int) -> list[FakeWorker]:
    """Return the workers of one model, spread over the servers."""
    places = [(number % servers, number // servers) for number in range(workers)]
    return [
        FakeWorker(f"server{server}-slot{slot}", "model", f"127.0.{1 + server}.1", first_port + slot)
        for server, slot in places
    ]


class FakeWorkers:
    """All fake workers, answering in a thread; `probes` and `connections` count what came so far."""

    def __init__(self, workers: Sequence[FakeWorker]) -> None:
        self.probes = self.connections = 0
        self._frozen: set[FakeWorker] = set()
        self._servers: dict[FakeWorker, asyncio.Server] = {}
        self._writers: dict[FakeWorker, list[asyncio.StreamWriter]] = {worker: [] for worker in workers}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def freeze(self, worker: FakeWorker) -> None:
        self._frozen.add(worker)

    def kill(self, worker: FakeWorker) -> None:
        self._loop.call_soon_threadsafe(self._servers[worker].close)
        for writer in self._writers[worker]:
            self._loop.call_soon_threadsafe(writer.transport.abort)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _listen(self) -> None:
        for worker in self._writers:
            self._servers[worker] = await asyncio.start_server(partial(self._answer, worker), worker.host, worker.port)

    async def _answer(self, worker: FakeWorker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers[worker].append(writer)
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                self.probes += request.startswith(b"GET /readyz")
                if worker not in self._frozen:
                    writer.write(worker.answer)


class Gateway:
    """Nginx and the gate in front of `workers`, in the folder `home`, on `port`."""

    def __init__(self, home: Path, port: int, workers: Sequence[FakeWorker]) -> None:
        self._home, self._port, self._rendered = home, port, home / "rendered"
        for folder in ("tmp", "rendered", "web"):
            (home / folder).mkdir()
        for name in ("nginx.conf", "routes.conf", "errors.conf"):
            (home / name).symlink_to(ROOT / "nginx" / name)
        (self._rendered / "listen.conf").write_text(f"listen 127.0.0.1:{port};\n")
        pools: dict[str, list[dict[str, str]]] = {}
        for one in workers:
            member = {"worker": one.name, "server": one.host, "slot": f"slot-{one.port}", "address": one.address}
            pools.setdefault(one.model, []).append(member)
        document = {"pools": [{"model": model, "members": members} for model, members in pools.items()]}
        (self._rendered / "members.json").write_text(json.dumps(document))
        root = ["-g", "user root;"] if os.geteuid() == 0 else []
        self.command = [NGINX, "-e", "stderr", "-p", str(home), "-c", "nginx.conf", *root]

    def fault(self) -> str:
        """Render the first list; return what `nginx -t` says against it, "" if nothing."""
        subprocess.run(self._gate("init"), cwd=ROOT / "nginx", check=True)
        result = subprocess.run([*self.command, "-t"], capture_output=True, text=True)
        return "; ".join(line for line in result.stderr.splitlines() if "emerg" in line or "warn" in line)

    @contextmanager
    def running(self) -> Iterator[tuple[int, int]]:
        """Start Nginx and the gate, and stop them at the end; yield their process ids."""
        with (self._home / "log").open("wb") as log:
            start = partial(subprocess.Popen, cwd=ROOT / "nginx", stdout=log, stderr=log)
            nginx, gate = start(self.command), start([*self._gate("run"), "--nginx", shlex.join(self.command)])
        try:
            yield nginx.pid, gate.pid
        finally:
            for process in (gate, nginx):
                process.terminate()
                process.wait()

    def unlisted(self, worker: FakeWorker) -> bool:
        return f" {worker.address} " not in (self._rendered / "upstreams.conf").read_text()

    def workers_in(self) -> int:
        """Return how many workers get requests, 0 while Nginx does not listen yet."""
        _, status = get(f"http://127.0.0.1:{self._port}/status", 30)
        return sum(worker["in"] for worker in status.get("workers", ()))

    def _gate(self, command: str) -> list[str]:
        files = ["--members", str(self._rendered / "members.json"), "--out", str(self._rendered)]
        return [shutil.which("python3") or "python3", "-m", "gate", command, *files]


def measure() -> dict[str, float]:
    """Return what a gateway with WORKERS workers of SERVERS servers costs, and how soon a worker leaves, by name.

    CPU times are those of the process, so that other work on the machine changes them little.
    """
    step(f"a gateway with {WORKERS} workers of {SERVERS} servers")
    workers = cluster(WORKERS, SERVERS, free_ports(-(-WORKERS // SERVERS)))
    with tempfile.TemporaryDirectory(prefix="wanwu-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - Nginx's workers must be able to enter
        gateway, fakes = Gateway(Path(folder), free_ports(1), workers), FakeWorkers(workers)
        if fault := gateway.fault():
            raise CommandError(f"growth: nginx -t: {fault}")
        with gateway.running() as (nginx, gate):
            found = {"all are in after, s": _seconds_until(lambda: gateway.workers_in() == WORKERS)}
            time.sleep(SETTLE_S)
            probes, connections = fakes.probes, fakes.connections
            used, status = _cpu_s_in(gate, SECONDS), procfs.status(gate)
            found["gate, % of a core"], found["gate, MB"] = 100 * used / SECONDS, status["VmRSS"] * 1024 / 1e6
            found["threads of the gate"], found["probes/s"] = status["Threads"], (fakes.probes - probes) / SECONDS
            found["new connections/s"] = (fakes.connections - connections) / SECONDS
            for name, action, worker in (("killed", fakes.kill, workers[0]), ("frozen", fakes.freeze, workers[-1])):
                action(worker)
                found[f"a {name} worker is out after, s"] = _seconds_until(partial(gateway.unlisted, worker))
            found["reload, CPU s of Nginx"] = _cpu_s_in(nginx, RELOAD_S, [*gateway.command, "-s", "reload"])
        fakes.stop()
    return found


def _cpu_s_in(process: int, seconds: float, command: Sequence[str] = ("true",)) -> float:
    """Run `command`; return the CPU seconds that a process uses meanwhile and in the next `seconds`."""
    before = procfs.cpu_s([process])
    subprocess.run(command, check=True)
    time.sleep(seconds)
    return procfs.cpu_s([process]) - before


def _seconds_until(condition: Callable[[], bool]) -> float:
    """Return the seconds until `condition` is true; raise CommandError after PATIENCE_S."""
    start = time.monotonic()
    if not wait_until(condition, PATIENCE_S, 0.02):
        raise CommandError(f"growth: waited {PATIENCE_S} s in vain for the workers to be in, or one to be out")
    return time.monotonic() - start

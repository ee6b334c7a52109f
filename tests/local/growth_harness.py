"""A gateway in front of hundreds of fake workers on loopback addresses: real Nginx, real gate."""

import asyncio
import http.client
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scripts.cluster.config import ROOT
from tests.local.gateway_harness import NGINX, stop


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
        info = {"name": self.model, "classes": 1000, "size": [224, 224], "labels": "imagenet"}
        facts = {"version": "1", "engine": "openvino", "precision": "int8", "in_flight": 0, "queued": 0}
        facts |= {"answered": {"images": 10**6, "durations_ms": {f"{2 ** (n / 8):.4g}": 10**4 for n in range(40)}}}
        facts |= {"state": "ready", "reason": None, "worker": self.name, "model": self.model, "model_info": info}
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
        self._workers = {(worker.host, worker.port): worker for worker in workers}
        self._frozen: set[str] = set()
        self._servers: dict[str, asyncio.Server] = {}
        self._writers: dict[str, list[asyncio.StreamWriter]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def freeze(self, worker: FakeWorker) -> None:
        self._frozen.add(worker.name)

    def kill(self, worker: FakeWorker) -> None:
        self._loop.call_soon_threadsafe(self._servers[worker.name].close)
        for writer in self._writers.get(worker.name, ()):
            self._loop.call_soon_threadsafe(writer.transport.abort)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _listen(self) -> None:
        for (host, port), worker in self._workers.items():
            self._servers[worker.name] = await asyncio.start_server(self._answer, host, port)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        worker = self._workers[writer.get_extra_info("sockname")]
        self._writers.setdefault(worker.name, []).append(writer)
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                self.probes += request.startswith(b"GET /readyz")
                if worker.name not in self._frozen:
                    writer.write(worker.answer)


class Gateway:
    """Nginx and the gate in front of `workers`, in the folder `home`, on `port`."""

    def __init__(self, home: Path, port: int, workers: Sequence[FakeWorker]) -> None:
        self._home, self._port, self._rendered = home, port, home / "rendered"
        for folder in ("tmp", "rendered", "web"):
            (home / folder).mkdir()
        for name in ("nginx.conf", "routes.conf", "errors.conf", "access.conf"):
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
            options = {"cwd": ROOT / "nginx", "stdout": log, "stderr": log}
            nginx = subprocess.Popen(self.command, **options)  # type: ignore[call-overload]
            gate = subprocess.Popen([*self._gate("run"), "--nginx", shlex.join(self.command)], **options)  # type: ignore[call-overload]
        try:
            yield nginx.pid, gate.pid
        finally:
            stop(gate)
            stop(nginx)

    def listed(self, worker: FakeWorker) -> bool:
        return f" {worker.address} " in (self._rendered / "upstreams.conf").read_text()

    def workers_in(self) -> int:
        """Return how many workers get requests, 0 while Nginx does not listen yet."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            with suppress(ConnectionError):
                connection.request("GET", "/status")
                return sum(worker["in"] for worker in json.load(connection.getresponse()).get("workers", []))
            return 0

    def _gate(self, command: str) -> list[str]:
        files = ["--members", str(self._rendered / "members.json"), "--out", str(self._rendered)]
        return [sys.executable, "-m", "gate", command, *files]

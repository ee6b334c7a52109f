"""The gateway with many workers: real Nginx and gate in front of fake workers on 50 loopback "servers".

    python3 -m scripts.bench.growth [--workers 400] [--servers 50] [--models 1] [--seconds 15]

Prints what the gate costs at rest, how soon a worker that dies or freezes is out, what a reload costs, and how large
GET /status is. CPU times are those of the process, so that other work on the machine changes them little.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import resource
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TICKS_S = 1 / os.sysconf("SC_CLK_TCK")
FIRST_PORT, PATIENCE_S, CLIENT_S = 8081, 60.0, 1.0
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


def cluster(
    workers: int, servers: int, models: int, name_length: int = 0, first_port: int = FIRST_PORT
) -> list[FakeWorker]:
    """Return the workers, spread over the servers and models; names are at least `name_length` characters long."""
    fakes = []
    for number in range(workers):
        server, slot = number % servers, number // servers
        model = f"model-{(number + slot) % models}"  # the workers of one model are on several servers
        name = f"{model}-server{server}-slot{slot}".ljust(name_length, "x")
        fakes.append(FakeWorker(name, model.ljust(name_length, "x"), f"127.0.{1 + server}.1", first_port + slot))
    return fakes


def members_json(workers: Sequence[FakeWorker]) -> str:
    pools: dict[str, list[dict[str, str]]] = {}
    for worker in workers:
        member = {"worker": worker.name, "server": worker.host, "slot": f"slot-{worker.port}"}
        pools.setdefault(worker.model, []).append(member | {"address": worker.address})
    return json.dumps({"pools": [{"model": model, "members": members} for model, members in pools.items()]})


# --- The fake workers: one process that answers for all --------------------------------------------------------------


class Answer(asyncio.Protocol):
    """A connection of one fake worker; `frozen` and `dead` name the workers that do not answer any more."""

    def __init__(self, worker: FakeWorker, counts: dict[str, int], frozen: set[str]) -> None:
        self.worker, self.counts, self.frozen = worker, counts, frozen
        info = {"name": worker.model, "classes": 1000, "size": [224, 224], "labels": "imagenet"}
        facts = {"version": "1", "engine": "openvino", "precision": "int8", "in_flight": 0, "queued": 0}
        identity = {"state": "ready", "reason": None, "worker": worker.name, "model": worker.model, "model_info": info}
        body = json.dumps(identity | facts).encode()
        self.text = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.counts["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self.counts["probes"] += data.startswith(b"GET /readyz")
        if self.worker.name in self.frozen:
            return
        self.transport.write(self.text)
        if b"onnection: close" in data:
            self.transport.close()


async def serve(workers: Sequence[FakeWorker]) -> None:
    """Answer for all workers; obey the lines of standard input: `kill NAME`, `freeze NAME`, `count`."""
    loop, counts, frozen = asyncio.get_running_loop(), {"probes": 0, "connections": 0}, set[str]()
    connections: dict[str, list[Answer]] = {worker.name: [] for worker in workers}
    servers: dict[str, asyncio.Server] = {}

    def connect(worker: FakeWorker) -> Answer:
        connections[worker.name].append(Answer(worker, counts, frozen))
        return connections[worker.name][-1]

    for worker in workers:
        server = await loop.create_server(lambda worker=worker: connect(worker), worker.host, worker.port)  # type: ignore[misc]
        servers[worker.name] = server
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, _, name = line.strip().partition(" ")
        if command == "freeze":
            frozen.add(name)
        elif command == "kill":
            servers[name].close()
            for connection in connections[name]:
                connection.transport.abort()
        print(json.dumps(counts), flush=True)


class FakeWorkers:
    """The process of the fake workers."""

    def __init__(self, members: Path) -> None:
        command = [sys.executable, "-m", "scripts.bench.growth", "--serve", str(members)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin  # noqa: S101
        assert self.process.stdout  # noqa: S101
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.stdout.readline()

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()

    def tell(self, command: str) -> dict[str, int]:
        self.stdin.write(command + "\n")
        self.stdin.flush()
        counts: dict[str, int] = json.loads(self.stdout.readline())
        return counts


# --- The gateway -----------------------------------------------------------------------------------------------------


class Gateway:
    """Nginx and the gate in the folder `home`, on `port`."""

    def __init__(self, home: Path, gate: Path, port: int, members: str) -> None:
        self.home, self.gate_room, self.port = home, gate, port
        for folder in ("tmp", "rendered", "web"):
            (home / folder).mkdir()
        for name in ("nginx.conf", "routes.conf", "errors.conf"):
            (home / name).symlink_to(gate / name)
        (home / "rendered/listen.conf").write_text(f"listen 127.0.0.1:{port};\n")
        self.members = home / "rendered/members.json"
        self.members.write_text(members)
        self.nginx_command = [NGINX, "-e", "stderr", "-p", str(home), "-c", "nginx.conf"]
        if os.geteuid() == 0:
            self.nginx_command += ["-g", "user root;"]
        self.processes: list[subprocess.Popen[bytes]] = []

    def gate_command(self, command: str) -> list[str]:
        files = ["--members", str(self.members), "--out", str(self.home / "rendered")]
        return [sys.executable, "-m", "gate", command, *files]

    def accepted(self) -> str | None:
        """Render the first list; return what `nginx -t` says against it, None if nothing."""
        subprocess.run(self.gate_command("init"), cwd=self.gate_room, check=True)
        result = subprocess.run([*self.nginx_command, "-t"], capture_output=True, text=True)
        said = [line for line in result.stderr.splitlines() if "emerg" in line or "warn" in line]
        return "; ".join(said) or None

    def start(self) -> None:
        for name, command, folder in (
            ("nginx", self.nginx_command, self.home),
            ("gate", [*self.gate_command("run"), "--nginx", shlex.join(self.nginx_command)], self.gate_room),
        ):
            with (self.home / f"{name}.log").open("wb") as log:
                self.processes.append(subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT))
            wait_until("Nginx listens", self._is_listening)
        self.nginx, self.gate = self.processes

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
            process.wait()

    def get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read()

    def listed(self, worker: FakeWorker) -> bool:
        return f" {worker.address} " in (self.home / "rendered/upstreams.conf").read_text()

    def workers_in(self) -> int:
        return sum(worker["in"] for worker in json.loads(self.get("/status"))["workers"])


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of the process and of its children that have ended: for the gate, Nginx's tests."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * TICKS_S


def status_fields(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def wait_until(what: str, condition: Any) -> float:
    """Return the seconds until `condition` is true."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > PATIENCE_S:
            raise SystemExit(f"waited {PATIENCE_S:g} s in vain: {what}")
        time.sleep(0.02)
    return time.monotonic() - start


class Requests:
    """Requests one after the other, to notice when Nginx last tried a worker, and whether a client saw a failure."""

    def __init__(self, gateway: Gateway, worker: FakeWorker) -> None:
        self.gateway, self.worker = gateway, worker
        self.sent = self.failed = 0
        self.last_tried = time.time()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with (self.gateway.home / "nginx.log").open() as log:
            log.seek(0, os.SEEK_END)
            while not self.over.wait(0.002):
                self.sent += 1
                connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=CLIENT_S)
                with contextlib.closing(connection):
                    connection.request("GET", f"/predict?model={self.worker.model}")
                    try:
                        self.failed += connection.getresponse().status != 200
                    except TimeoutError:
                        self.failed += 1
                for line in log:
                    if line.startswith("{") and self.worker.address in (entry := json.loads(line))["upstream"]:
                        self.last_tried = time.time() - entry["request_time"]

    def __enter__(self) -> "Requests":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def removal(gateway: Gateway, fakes: FakeWorkers, worker: FakeWorker, command: str) -> str:
    """Return how soon `worker` is out after `command`, as the list and as Nginx's attempts show it."""
    with Requests(gateway, worker) as requests:
        time.sleep(0.5)
        start = time.time()
        fakes.tell(f"{command} {worker.name}")
        off_list = wait_until("it leaves the list", lambda: not gateway.listed(worker))
        time.sleep(3)
    tried = max(0.0, requests.last_tried - start)
    requests_failed = f"{requests.failed} of {requests.sent} requests had no answer within {CLIENT_S:g} s"
    return f"off the list after {off_list:.1f} s, last tried by Nginx after {tried:.1f} s; {requests_failed}"


def reload_cost(gateway: Gateway) -> str:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run([*gateway.nginx_command, "-t", "-q"], check=True)
    test_s = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    tested = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    master = cpu_s(gateway.nginx.pid)
    subprocess.run([*gateway.nginx_command, "-s", "reload"], check=True)
    time.sleep(2)
    return f"nginx -t {tested:.2f} CPU s ({test_s:.2f} s), reload {cpu_s(gateway.nginx.pid) - master:.2f} CPU s"


def measure(options: argparse.Namespace) -> None:
    workers = cluster(options.workers, options.servers, options.models)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o755)
        (home / "long").mkdir()
        long = Gateway(home / "long", options.gate, options.port, members_json(cluster(400, 50, 100, 64)))
        print("400 members with long names, 100 models of 64 characters, nginx -t:", long.accepted() or "accepted")
        (home / "gateway").mkdir()
        gateway = Gateway(home / "gateway", options.gate, options.port, members_json(workers))
        print(f"{len(workers)} members, nginx -t:", gateway.accepted() or "accepted")
        fakes = FakeWorkers(gateway.members)
        try:
            gateway.start()
            observe(gateway, fakes, workers, options.seconds)
        finally:
            gateway.stop()
            fakes.stop()


def observe(gateway: Gateway, fakes: FakeWorkers, workers: Sequence[FakeWorker], seconds: float) -> None:
    print(f"all in after {wait_until('all are in', lambda: gateway.workers_in() == len(workers)):.1f} s")
    time.sleep(3)
    before, start, cpu = fakes.tell("count"), time.monotonic(), cpu_s(gateway.gate.pid)
    time.sleep(seconds)
    counts, spent = fakes.tell("count"), cpu_s(gateway.gate.pid) - cpu
    passed = time.monotonic() - start
    fields = status_fields(gateway.gate.pid)
    probes, opened = ((counts[name] - before[name]) / passed for name in ("probes", "connections"))
    print(f"gate: {100 * spent / passed:.0f}% of one core, {fields['VmRSS']} resident, {fields['Threads']} threads")
    print(f"probes: {probes:.0f} a second, {opened:.0f} new connections a second")
    times = []
    for _ in range(20):
        start = time.monotonic()
        size = len(gateway.get("/status"))
        times.append(time.monotonic() - start)
    print(f"GET /status: {size / 1e3:.0f} kB, median {1e3 * statistics.median(times):.1f} ms")
    for command, worker in (("kill", workers[0]), ("freeze", workers[-1])):
        print(f"{command}: {removal(gateway, fakes, worker, command)}")
    server = [worker for worker in workers if worker.host == workers[1].host]
    start = time.monotonic()
    for worker in server:
        fakes.tell(f"freeze {worker.name}")
    wait_until("its workers leave", lambda: not any(gateway.listed(worker) for worker in server))
    print(f"a server with {len(server)} workers freezes: off the list after {time.monotonic() - start:.1f} s")
    print("reload:", reload_cost(gateway))


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(prog="growth", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--workers", type=int, default=400)
    parser.add_argument("--servers", type=int, default=50)
    parser.add_argument("--models", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--port", type=int, default=18080)
    parser.add_argument("--gate", type=Path, default=ROOT / "nginx", help="the folder of nginx.conf and gate/")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        pools = json.loads(options.serve.read_text())["pools"]
        members = [(pool["model"], member) for pool in pools for member in pool["members"]]
        workers = [FakeWorker(m["worker"], model, *_split(m["address"])) for model, m in members]
        asyncio.run(serve(workers))
        return
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    measure(options)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.partition(":")
    return host, int(port)


if __name__ == "__main__":
    main()

"""A whole gateway in a folder of its own: real Nginx, real gate, scriptable workers, on free ports of 127.0.0.1."""

import http.client
import json
import os
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from nginx.gate.__main__ import init
from scripts.cluster.keys import Key, render_keys
from scripts.host.certificates import certificates
from tests.service import free_ports
from tests.wait import TIMEOUT_S, until

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
INTERVAL_S = 0.5
PROCESSES = 4  # nginx.conf's worker_processes
# An ordinary user's PATH lacks /usr/sbin, where Debian keeps Nginx.
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"


def stop(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:  # one that is frozen does not hear SIGTERM
        process.kill()
        process.wait()


def samples(reply: "Reply") -> list[Sample]:
    """Return the samples of an answer to GET /metrics."""
    families = text_string_to_metric_families(reply.body.decode())
    return [sample for family in families for sample in family.samples]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        return ", ".join(self.all(name)) if self.all(name) else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """The error's code and message; that it has the contract's shape is checked on the way."""
        assert self.header("Content-Type") == "application/json"
        error = self.json["error"]
        if isinstance(error, str):  # as the Open Inference Protocol has it, below /v2
            error = {"message" if key == "error" else key: value for key, value in self.json.items()}
        assert set(error) == {"code", "message", "request_id"}
        assert self.all("X-Request-ID") == [error["request_id"]]
        return error


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """One request on a connection of its own; what goes wrong is raised, nothing is tried again."""
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_S, context=tls)
        if tls
        else http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    )
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def trusting(pem: str) -> ssl.SSLContext:
    """A client's context that takes this certificate alone, as that of 127.0.0.1."""
    context = ssl.create_default_context(cadata=certificates(pem))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def ask_raw(port: int, text: bytes) -> Reply:
    """The answer to bytes that no client library would send."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        connection.sendall(text)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return Reply(response.status, response.getheaders(), response.read())


class Worker:
    """A fake worker's process."""

    def __init__(self, name: str, model: str, port: int = 0) -> None:
        self.name, self.model, self.slot = name, model, f"slot-of-{name}"
        command = [sys.executable, str(HERE / "fake_worker.py"), "--worker", name, "--model", model]
        command += ["--slot", self.slot, "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def set(self, **behaviour: str | float | None) -> None:
        assert ask(self.port, "PUT", "/control", json.dumps(behaviour).encode()).status == 200

    def met(self) -> list[dict[str, Any]]:
        """The requests it has met but for probes."""
        requests: list[dict[str, Any]] = ask(self.port, "GET", "/control").json["requests"]
        return requests

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


class RealWorker(Worker):
    """A real worker, which something else starts and ends, in the place of one of the gateway's own."""

    def __init__(self, name: str, model: str, port: int) -> None:
        self.name, self.model, self.slot, self.port = name, model, "this-cpu0", port


class Gateway:
    """`pools` names the workers of each model, `options` are those of members.json, `keys` those of keys.json.

    `pem` turns TLS on. What Nginx and the gate write goes to files, or to the file descriptor `output`.

    Everything lies in `home` and ends with `close`.
    """

    def __init__(
        self,
        home: Path,
        pools: Mapping[str, list[str]],
        replace: Mapping[str, str] | None = None,
        ejection_s: float | None = None,
        options: Mapping[str, object] | None = None,
        keys: Sequence[Key] = (),
        key: str = "",
        output: int | None = None,
        pem: str = "",
    ) -> None:
        self.output = output
        self.home, self.ejection_s, self.options = home, ejection_s, dict(options or {})
        self.key = key  # by which the harness itself asks for the status
        self.port = free_ports(1)
        self.stack = ExitStack()
        for folder in ("tmp", "rendered", "web"):
            (home / folder).mkdir()
        for name in ("nginx.conf", "routes.conf", "errors.conf", "access.conf"):
            self._place(name, replace or {})
        (home / "rendered/listen.conf").write_text(f"listen 127.0.0.1:{self.port}{' ssl' if pem else ''};\n")
        self.tls = trusting(pem) if pem else None
        if pem:
            self.write_pem(pem)
        self.workers = {name: Worker(name, model) for model, names in pools.items() for name in names}
        for worker in self.workers.values():
            self.stack.callback(worker.close)
        self.pools = {model: list(names) for model, names in pools.items()}
        self.write_members()
        if keys:
            self.write_keys(keys)
        self.gate: subprocess.Popen[bytes] | None = None
        self.nginx: subprocess.Popen[bytes] | None = None

    def _place(self, name: str, replace: Mapping[str, str]) -> None:
        text = (ROOT / "nginx" / name).read_text()
        if not any(old in text for old in replace):
            (self.home / name).symlink_to(ROOT / "nginx" / name)
            return
        for old, new in replace.items():
            assert text.count(old) == 1
            text = text.replace(old, new)
        (self.home / name).write_text(text)

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    # --- Parts ---------------------------------------------------------------------------------------------------

    @property
    def nginx_command(self) -> list[str]:
        command = [NGINX, "-e", "stderr", "-p", str(self.home), "-c", "nginx.conf"]
        # Nginx's processes would otherwise become `nobody`, who cannot read pytest's folders.
        return [*command, "-g", "user root;"] if os.geteuid() == 0 else command

    def _start(self, command: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{log}.log").open("ab") as out, (self.home / f"{log}.err").open("ab") as err:
            stdout, stderr = (out, err) if self.output is None else (self.output, self.output)
            process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        self.stack.callback(stop, process)
        return process

    def start(self) -> "Gateway":
        """Nginx and gate, until every worker is in and the reload that each new gate makes is over."""
        self.init()
        self.start_nginx()
        # It listens before it has started the processes below it.
        until("Nginx's processes are there", lambda: len(self.nginx_processes()) == PROCESSES)
        first = self.nginx_processes()
        self.start_gate()
        until("every worker is in", lambda: self.states_in() == set(self.workers))
        until("the first reload is over", lambda: not first & self.nginx_processes())
        return self

    def init(self) -> None:
        """List every worker, as `gate init` does, without a process of its own."""
        init(self.home / "rendered/members.json", self.home / "rendered")

    def start_nginx(self) -> None:
        self.nginx = self._start(self.nginx_command, "nginx")
        until("Nginx is there", self._is_listening)

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def start_gate(self) -> None:
        rendered = self.home / "rendered"
        command = [sys.executable, "-m", "nginx.gate", "run", "--members", str(rendered / "members.json")]
        command += ["--out", str(rendered), "--nginx", shlex.join(self.nginx_command)]
        if self.ejection_s is not None:
            command += ["--ejection", str(self.ejection_s)]
        self.gate = self._start([*command, "--interval", str(INTERVAL_S)], "gate")

    def add_worker(self, name: str, model: str) -> Worker:
        worker = self.workers[name] = Worker(name, model)
        self.stack.callback(worker.close)
        self.pools.setdefault(model, []).append(name)
        return worker

    def restart_worker(self, name: str) -> Worker:
        """A new process at the old address."""
        old = self.workers[name]
        worker = self.workers[name] = Worker(name, old.model, old.port)
        self.stack.callback(worker.close)
        return worker

    def write_pem(self, pem: str) -> None:
        """The certificate and its key, as the runtimes write them."""
        folder = self.home / "tls"
        folder.mkdir(exist_ok=True)
        (folder / "server.pem.new").write_text(pem)
        (folder / "server.pem.new").replace(folder / "server.pem")

    def write_members(self) -> None:
        pools = [
            {"model": model, "members": [self._member(self.workers[name]) for name in names]}
            for model, names in self.pools.items()
        ]
        self.write_members_text(json.dumps({"gateway": self.options, "pools": pools}))

    def write_members_text(self, text: str) -> None:
        self._write("members.json", text)

    def write_keys(self, keys: Sequence[Key]) -> None:
        self._write("keys.json", render_keys(keys))

    def _write(self, name: str, text: str) -> None:
        new = self.home / f"rendered/{name}.new"
        new.write_text(text)
        new.replace(self.home / "rendered" / name)

    def _member(self, worker: Worker) -> dict[str, str]:
        address = f"127.0.0.1:{worker.port}"
        return {"worker": worker.name, "server": "this", "slot": worker.slot, "address": address}

    # --- What can be seen ----------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        return ask(self.port, method, path, body, headers, self.tls)

    def states_in(self) -> set[str]:
        status = self.ask("GET", "/status", headers={"X-API-Key": self.key} if self.key else None)
        return {worker["worker"] for worker in status.json.get("workers", []) if worker["in"]}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of one metric's samples that have these labels."""
        reply = self.ask("GET", "/metrics", headers={"X-API-Key": self.key} if self.key else None)
        assert reply.status == 200
        return sum(
            sample.value for sample in samples(reply) if sample.name == name and labels.items() <= sample.labels.items()
        )

    def listed(self) -> set[str]:
        """The workers named in upstreams.conf."""
        text = (self.home / "rendered/upstreams.conf").read_text()
        return {name for name, worker in self.workers.items() if f":{worker.port} " in text}

    def answered_by(self, path: str = "/predict", requests: int = 8) -> set[str]:
        """The workers that answered some requests in a row, none of which may fail."""
        replies = [self.ask("POST", path, b"image") for _ in range(requests)]
        assert [reply.status for reply in replies] == [200] * requests
        return {reply.json["worker"] for reply in replies}

    def nginx_processes(self) -> set[str]:
        """The process ids below Nginx's master; every reload brings new ones, nothing else does."""
        assert self.nginx
        return set(Path(f"/proc/{self.nginx.pid}/task/{self.nginx.pid}/children").read_text().split())

    def access_log(self) -> list[dict[str, Any]]:
        whole, _, _ = (self.home / "tmp/access.log").read_text().rpartition("\n")  # the last line may be half there
        return [json.loads(line) for line in whole.splitlines()]

    def logged(self, request_id: str) -> dict[str, Any]:
        """The access log's line of a request. Nginx's processes write them after their answers, in any order."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.access_log() if line["request_id"] == request_id]

        (line,) = until(f"{request_id} is in the log", found)
        return line

    def gate_log(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.home / "gate.log").read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

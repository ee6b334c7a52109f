"""The gate: asks every worker how it is, and keeps Nginx's list to those that answer.

    gate.py init --members FILE --out DIR                  lists every worker to be found, before Nginx starts
    gate.py run  --members FILE --out DIR --nginx COMMAND  asks for ever, and reloads Nginx on change

Reads members.json (who exists). Writes into DIR: upstreams.conf (who is listed), status.json (what GET /status
serves) and ready.json (there only while every model has a worker that is in). One JSON log line a change.

Members may be host names: each question resolves its own anew, and Nginx is told addresses.

Needs Python's standard library and, for `run`, Nginx. If it dies, Nginx goes on with its last list.
"""

import argparse
import http.client
import json
import os
import queue
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gate_rules import (
    Member,
    MembersError,
    Peer,
    Pools,
    Probe,
    choose,
    listed_servers,
    next_state,
    parse_members,
    render_status,
    render_upstreams,
    understand,
)

PROBE_TIMEOUT_S = 2.0  # a frozen worker still accepts connections, and never answers
RELOAD_GAP_S = 1.0  # a reload starts every Nginx process anew and costs 200 ms or more
RETRY_GAP_S = 3.0  # for a list that Nginx refused, or a reload that found no Nginx


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def log(event: str, **details: Any) -> None:
    print(json.dumps({"time": now(), "event": event, **details}), flush=True)


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old text or the new, also after a power cut; the file is readable by all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False) as file:
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())
    os.replace(file.name, path)


def resolve(member: Member) -> tuple[str, int]:
    """The IP address and the port of `member`; raises OSError, which says what is wrong with its name."""
    host, _, port = member.address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the latter for what cannot be a name, such as "a..b"
        raise OSError(f"{host}: {error.args[-1]}") from error
    # Always the same, since another one would mean a reload.
    _, address = min((family, address) for family, _, _, _, address in found)
    return str(address[0]), int(port)


def as_text(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def ask(member: Member) -> Probe:
    try:
        ip, port = resolve(member)
    except OSError as error:
        return Probe("unreachable", str(error), now())
    return replace(_ask_at(ip, port, member), address=as_text(ip, port))


def _ask_at(ip: str, port: int, member: Member) -> Probe:
    connection = http.client.HTTPConnection(ip, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz", headers={"Connection": "close"})
        response = connection.getresponse()
        return understand(member, response.status, response.read(65536), now())
    except Exception as error:  # whatever it was, the worker did not answer; and the asking must go on
        return Probe("unreachable", str(error) or type(error).__name__, now())
    finally:
        connection.close()


class Nginx:
    """Brings upstreams.conf to Nginx: written, tested, loaded; at most once in RELOAD_GAP_S."""

    def __init__(self, command: Sequence[str], file: Path) -> None:
        self.command = command
        self.file = file
        self.loaded: str | None = None  # None: not known, so the next text is loaded even if it is the same
        self.not_before = 0.0

    def bring(self, text: str) -> None:
        """A text that could not be loaded is tried again with the next call that comes late enough."""
        if text == self.loaded or time.monotonic() < self.not_before:
            return
        before = self.file.read_text()
        servers = sorted(listed_servers(text).values())
        gap = RETRY_GAP_S
        write_atomically(self.file, text)
        if fault := self._call("-t"):
            write_atomically(self.file, before)
            log("upstreams_rejected", fault=fault, servers=servers)
        elif fault := self._call("-s", "reload"):
            self.loaded = None  # Nginx may be down: when it starts it reads the file
            log("reload_failed", fault=fault, servers=servers)
        else:
            self.loaded = text
            gap = RELOAD_GAP_S
            log("reloaded", servers=servers)
        self.not_before = time.monotonic() + gap

    def _call(self, *arguments: str) -> str | None:
        """None, or what went wrong."""
        try:
            done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return None if done.returncode == 0 else done.stderr.strip()[-2000:] or f"exit status {done.returncode}"


class Gate:
    """Asks every member in a thread of its own, so that one that hangs delays no other; decides in one."""

    def __init__(self, members_file: Path, out: Path, nginx: Nginx, interval: float) -> None:
        self.members_file = members_file
        self.out = out
        self.nginx = nginx
        self.interval = interval
        self.answers: queue.SimpleQueue[tuple[Member, Probe] | None] = queue.SimpleQueue()
        self.members_text = self.members_fault = ""
        self.pools: Pools = {}
        self.peers: dict[Member, Peer] = {}
        self.askers: dict[Member, threading.Event] = {}
        self.last = listed_servers(nginx.file.read_text())
        self.status_due = 0.0

    def run(self) -> None:
        """Until None comes through `answers`."""
        while True:
            self._read_members()
            try:
                heard = [self.answers.get(timeout=self.interval)]
                while not self.answers.empty():
                    heard.append(self.answers.get())
            except queue.Empty:
                heard = []
            for answer in heard:
                if answer is None:
                    return
                self._hear(*answer)
            self._publish()

    def _read_members(self) -> None:
        try:
            text = self.members_file.read_text()
            if text == self.members_text:
                return
            self.members_text = text
            self.pools = parse_members(text)
        except (OSError, ValueError) as error:
            if str(error) != self.members_fault:
                self.members_fault = str(error)
                log("members_refused", fault=str(error), file=str(self.members_file))
            return
        self.members_fault = ""
        self._ask_those(self.pools)

    def _ask_those(self, pools: Pools) -> None:
        everyone = {member for members in pools.values() for member in members}
        for member in self.peers.keys() - everyone:
            del self.peers[member]
            self.askers.pop(member).set()
        for member in everyone - self.peers.keys():
            before = self.last.get(member.worker)
            self.peers[member] = Peer("untested" if before else "out", now(), address=before)
            self.askers[member] = threading.Event()
            threading.Thread(target=self._ask_on, args=(member, self.askers[member]), daemon=True).start()
        log("members", models={model: len(members) for model, members in pools.items()})

    def _ask_on(self, member: Member, stop: threading.Event) -> None:
        while not stop.is_set():
            began = time.monotonic()
            self.answers.put((member, ask(member)))
            stop.wait(max(0.0, self.interval - (time.monotonic() - began)))

    def _hear(self, member: Member, probe: Probe) -> None:
        before = self.peers.get(member)
        if before is None:
            return
        after = self.peers[member] = next_state(before, probe)
        if (before.standing, before.state) != (after.standing, after.state):
            said = {"from": f"{before.standing}, {before.state}", "to": f"{after.standing}, {after.state}"}
            log("worker", worker=member.worker, **said, reason=after.reason)
            self.status_due = 0.0

    def _publish(self) -> None:
        if not self.pools:
            return
        listed = {model: choose(members, self.peers, self.last) for model, members in self.pools.items()}
        self.last = {worker: address for servers in listed.values() for worker, address in servers.items()}
        self.nginx.bring(render_upstreams(listed))
        # Not before every worker was asked: a gate that just started has nothing better to say than the one before.
        if time.monotonic() >= self.status_due and all(peer.asked for peer in self.peers.values()):
            self.status_due = time.monotonic() + self.interval
            told = listed_servers(self.nginx.file.read_text())
            write_status(self.out, render_status(self.pools, self.peers, told, now()))


def write_status(out: Path, status: dict[str, Any]) -> None:
    write_atomically(out / "status.json", json.dumps(status, indent=1) + "\n")
    ready = out / "ready.json"
    if not all(model["ready"] for model in status["models"]):
        ready.unlink(missing_ok=True)
    elif not ready.exists():
        write_atomically(ready, '{"ready": true}\n')


def init(members_file: Path, out: Path) -> None:
    """Lists every member that can be found: one that is starting answers 503, which is tried elsewhere."""
    pools = parse_members(members_file.read_text())
    everyone = [member for members in pools.values() for member in members]
    # All at once, since a name that is not known may take seconds to be refused.
    with ThreadPoolExecutor(len(everyone)) as threads:
        peers = dict(zip(everyone, threads.map(first_sight, everyone), strict=True))
    listed = {model: choose(members, peers, ()) for model, members in pools.items()}
    write_atomically(out / "upstreams.conf", render_upstreams(listed))
    write_status(out, render_status(pools, peers, {}, now()))


def first_sight(member: Member) -> Peer:
    try:
        return Peer("untested", now(), address=as_text(*resolve(member)))
    except OSError:
        return Peer("out", now())


def run(members_file: Path, out: Path, nginx: Sequence[str], interval: float) -> None:
    if not (out / "upstreams.conf").exists():
        init(members_file, out)
    gate = Gate(members_file, out, Nginx(nginx, out / "upstreams.conf"), interval)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: gate.answers.put(None))
    log("started", interval_s=interval)
    gate.run()
    log("stopped")


def seconds(text: str) -> float:
    if not 0 < (value := float(text)) <= 60:
        raise argparse.ArgumentTypeError(f"needed is a number above 0, at most 60; found {text}")
    return value


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gate.py", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("init", help="list every worker once, before Nginx starts", allow_abbrev=False)
    always = commands.add_parser("run", help="ask for ever, and reload Nginx on change", allow_abbrev=False)
    for command in (first, always):
        command.add_argument("--members", type=Path, required=True, help="members.json: who exists")
        command.add_argument("--out", type=Path, required=True, help="where the rendered files go")
    always.add_argument("--nginx", type=shlex.split, required=True, help='such as "nginx -p P -c nginx.conf"')
    always.add_argument("--interval", type=seconds, default=1.0, help="seconds between two questions (1)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    try:
        if options.command == "init":
            init(options.members, options.out)
        else:
            run(options.members, options.out, options.nginx, options.interval)
    except (OSError, MembersError) as error:
        print(f"gate.py: {options.members}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

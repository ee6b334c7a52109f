"""What the bench starts and ends, and the material it works on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bench import procfs
from scripts.bench.servers import end, running
from scripts.bench.targets import REFERENCE, SERVER, Material, Subject
from tests.wait import until

FAMILY = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FAMILY}"


def start(code: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    until("it has a child", lambda: len(procfs.family([process.pid])) == 2)
    return process


@pytest.fixture
def material(tmp_path: Path) -> Material:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/one.jpg").write_bytes(b"\xff\xd8\xff")
    names = {REFERENCE: tmp_path / "model"}
    cpus = frozenset(os.sched_getaffinity(0))
    return Material(names, names, tmp_path / "images", tmp_path / "cluster.toml", cpus, [frozenset({min(cpus)})])


@pytest.mark.parametrize("code", [FAMILY, STUBBORN], ids=["obedient", "stubborn"])
def test_a_server_is_ended_with_all_below_it(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.bench.servers.END_S", 0.5)
    process = start(code)
    family = procfs.family([process.pid])
    end(process)
    assert process.returncode in (-signal.SIGTERM, -signal.SIGKILL)
    until("its child is gone", lambda: not [pid for pid in family if procfs.command_line(pid)])


def test_what_a_dead_server_left_in_its_session_is_ended_too() -> None:
    process = start(FAMILY)
    child = next(pid for pid in procfs.family([process.pid]) if pid != process.pid)
    process.kill()
    process.wait()
    assert procfs.command_line(child)
    end(process)
    until("the orphan is gone", lambda: not procfs.command_line(child))


def test_processor_time_and_memory_are_those_of_a_process_and_all_below_it() -> None:
    busy = "import os; os.fork(); x = b'1' * 50_000_000\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", busy], start_new_session=True)
    try:
        until("both have worked", lambda: procfs.cpu_s([process.pid]) > 0.4)
        assert len(procfs.family([process.pid])) == 2
        until("both hold their memory", lambda: procfs.memory_mb([process.pid]) > 90)
    finally:
        end(process)
    assert procfs.family([process.pid]) == []
    assert procfs.cpu_s([process.pid]) == 0


def test_a_server_that_ends_at_once_is_refused_with_the_end_of_its_log(material: Material, tmp_path: Path) -> None:
    subject = Subject("x", "some server", SERVER, REFERENCE, command=(sys.executable, "-c", "print('why'); exit(3) #"))
    with pytest.raises(CommandError) as refusal, running(subject, material, tmp_path):
        pass
    assert refusal.value.lines == (
        f"some server: did not start: it ended with status 3; {tmp_path / 'x.log'} ends with:", "why"
    )  # fmt: skip


def test_a_server_runs_on_its_slot_alone_and_is_told_what_to_serve(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import http.server, os, sys\n"
        "class Say(http.server.BaseHTTPRequestHandler):\n"
        "    def do_POST(self):\n"
        "        self.rfile.read(int(self.headers['Content-Length']))\n"
        "        self.send_response(200); self.send_header('Content-Length', '0'); self.end_headers()\n"
        "print(sorted(os.sched_getaffinity(0)), os.environ['BENCH_FOLDER'], 'SECRET' in os.environ, flush=True)\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Say).serve_forever()\n"
    )
    subject = Subject("x", "some server", SERVER, REFERENCE, one_slot=True, command=(sys.executable, "-c", code))
    monkeypatch.setenv("SECRET", "1")
    with running(subject, material, tmp_path) as server:
        assert server.startup_s > 0
        (pid,) = server.pids
        assert procfs.command_line(pid)
    assert not procfs.command_line(pid)
    first = (tmp_path / "x.log").read_text().splitlines()[0]
    assert first == f"{sorted(material.slots[0])} {material.folders[REFERENCE]} False"

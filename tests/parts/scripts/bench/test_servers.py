"""The servers that the benchmark starts and stops."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bench import procfs
from scripts.bench.servers import running, terminate
from scripts.bench.targets import REFERENCE, SERVER, Fixtures, Target
from tests.wait import until

PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {PARENT}"


def start(code: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    until("it has a child", lambda: len(procfs.process_tree([process.pid])) == 2)
    return process


@pytest.mark.parametrize("code", [PARENT, STUBBORN], ids=["obedient", "stubborn"])
def test_a_server_is_stopped_with_all_its_descendants(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.bench.servers.TERMINATE_TIMEOUT_S", 0.5)
    process = start(code)
    processes = procfs.process_tree([process.pid])
    terminate(process)
    assert process.returncode in (-signal.SIGTERM, -signal.SIGKILL)
    until("its child is gone", lambda: not [pid for pid in processes if procfs.command_line(pid)])


def test_orphans_in_the_session_of_a_dead_server_are_killed_too() -> None:
    process = start(PARENT)
    child = next(pid for pid in procfs.process_tree([process.pid]) if pid != process.pid)
    process.kill()
    process.wait()
    assert procfs.command_line(child)
    terminate(process)
    until("the orphan is gone", lambda: not procfs.command_line(child))


def test_cpu_time_and_memory_include_all_descendants() -> None:
    busy = "import os; os.fork(); x = b'1' * 50_000_000\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", busy], start_new_session=True)
    try:
        until("both have worked", lambda: procfs.cpu_s([process.pid]) > 0.4)
        assert len(procfs.process_tree([process.pid])) == 2
        until("both hold their memory", lambda: procfs.memory_mb([process.pid]) > 90)
    finally:
        terminate(process)
    assert procfs.process_tree([process.pid]) == []
    assert procfs.cpu_s([process.pid]) == 0


def test_a_server_that_ends_at_once_is_refused_with_the_end_of_its_log(fixtures: Fixtures, tmp_path: Path) -> None:
    target = Target("x", "some server", SERVER, REFERENCE, command=(sys.executable, "-c", "print('why'); exit(3) #"))
    with pytest.raises(CommandError) as caught, running(target, fixtures, tmp_path):
        pass
    log = tmp_path / "x.log"
    assert caught.value.lines == (f"some server: did not start: it ended with status 3; {log} ends with:", "why")


def test_a_server_gets_its_slot_and_its_settings_and_nothing_else(
    fixtures: Fixtures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import http.server, os, sys\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_POST(self):\n"
        "        self.rfile.read(int(self.headers['Content-Length']))\n"
        "        self.send_response(200); self.send_header('Content-Length', '0'); self.end_headers()\n"
        "print(sorted(os.sched_getaffinity(0)), os.environ['BENCH_FOLDER'], 'SECRET' in os.environ, flush=True)\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()\n"
    )
    target = Target("x", "some server", SERVER, REFERENCE, one_slot=True, command=(sys.executable, "-c", code))
    monkeypatch.setenv("SECRET", "1")
    with running(target, fixtures, tmp_path) as server:
        assert server.startup_s > 0
        (pid,) = server.pids
        assert procfs.command_line(pid)
    assert not procfs.command_line(pid)
    first = (tmp_path / "x.log").read_text().splitlines()[0]
    assert first == f"{sorted(fixtures.slots[0])} {fixtures.folders[REFERENCE]} False"

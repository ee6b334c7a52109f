"""The servers that the benchmark starts, loads and stops, and its reports of faulty ones."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.bench import procfs
from scripts.bench.fixtures import Fixtures
from scripts.bench.programs import terminate
from scripts.bench.results import Sample
from scripts.bench.runner import Runner
from scripts.bench.targets import LARGEST, REFERENCE, SERVER, SIZES, SMALLEST, Load, Target
from tests.wait import until

PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {PARENT}"
SERVE = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Handler.count = getattr(Handler, "count", 0) + 1
        status, body = answer(Handler.count)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # of 5, the kernel resets connections on a busy machine
print(sorted(os.sched_getaffinity(0)), os.environ["BENCH_FOLDER"], "SECRET" in os.environ, flush=True)
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def start(code: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    until("it has a child", lambda: len(procfs.process_tree([process.pid])) == 2)
    return process


@pytest.mark.parametrize("code", [PARENT, STUBBORN], ids=["obedient", "stubborn"])
def test_a_server_is_stopped_with_all_its_descendants(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.bench.programs.TERMINATE_TIMEOUT_S", 0.5)
    process = start(code)
    processes = procfs.process_tree([process.pid])
    terminate(process)
    assert process.returncode in (-signal.SIGTERM, -signal.SIGKILL)
    until("its child is gone", lambda: not [pid for pid in processes if procfs.command_line(pid)])


def test_orphans_of_a_dead_server_are_killed_too() -> None:
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
        tree = procfs.process_tree([process.pid])
        assert len(tree) == 2
        assert procfs.process_tree(tree) == tree
        until("both hold their memory", lambda: procfs.memory([process.pid]).anonymous > 90)
        memory = procfs.memory([process.pid])
        assert memory.peak >= memory.rss > memory.anonymous
    finally:
        terminate(process)
    assert procfs.process_tree([process.pid]) == []
    assert procfs.cpu_s([process.pid]) == 0


def run(fixtures: Fixtures, tmp_path: Path, code: str, loads: Sequence[Load]) -> tuple[list[Sample], dict[str, str]]:
    command = (sys.executable, "-c", code, "{port}")
    target = Target("mosec-engine", "some server", SERVER, REFERENCE, loads, command)
    labels = {"mosec-engine": {size: {str(fixtures.images[SMALLEST] / "one.jpg"): "cat"} for size in SIZES}}
    return Runner(fixtures, labels, tmp_path, 1).run([target], 1)


def test_a_server_gets_its_slot_and_settings_and_is_loaded(
    fixtures: Fixtures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "1")
    code = f"answer = lambda _: (200, b'[\"cat\"]'){SERVE}"
    samples, faults = run(fixtures, tmp_path, code, [Load(), Load(LARGEST, 2), Load(open=True)])
    assert faults == {}
    closed, large, opened = samples
    assert (closed.errors, large.errors, opened.errors) == ({}, {}, {})
    assert (closed.load.size, large.load.size, large.load.clients) == (SMALLEST, LARGEST, 2)
    assert min(closed.rate, large.rate) > 0
    assert closed.loaded.rss > 5
    assert opened.p99_ms > 0
    first = (tmp_path / "mosec-engine.log").read_text().splitlines()[0]
    assert first == f"{sorted(fixtures.slots[0])} {fixtures.folders[REFERENCE]} False"


def test_wrong_answers_and_statuses_are_reported_as_errors(fixtures: Fixtures, tmp_path: Path) -> None:
    code = f"answer = lambda count: [(200, b'[\"cat\"]'), (200, b'[\"dog\"]'), (503, b'no')][count % 3]{SERVE}"
    (closed, opened), faults = run(fixtures, tmp_path, code, [Load(), Load(open=True)])
    assert faults == {}
    assert closed.errors["status"] > 0
    assert closed.errors["wrong label"] > 0
    assert opened.errors["found dog, needed cat"] > 0
    assert opened.errors["503"] > 0


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('why'); exit(3) #", "ended with status 3; {log} ends with:\nwhy"),
        (f"answer = lambda _: (500, b'broken'){SERVE}", "answered 500; {log} ends with:\n"),
        (
            "import time; print('why', flush=True); time.sleep(600)",
            "answered ConnectionRefusedError; {log} ends with:\nwhy",
        ),
    ],
    ids=["dies", "fails", "hangs"],
)
def test_a_server_that_does_not_start_is_reported_with_the_end_of_its_log(
    fixtures: Fixtures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    monkeypatch.setattr("scripts.bench.servers.START_TIMEOUT_S", 8)
    samples, faults = run(fixtures, tmp_path, code, [Load()])
    assert samples == []
    log = tmp_path / "mosec-engine.log"
    assert faults["mosec-engine"].startswith(f"some server: did not start: it {said.format(log=log)}")


def test_a_server_that_stops_answering_is_reported(fixtures: Fixtures, tmp_path: Path) -> None:
    code = f"answer = lambda count: (200, b'[\"cat\"]') if count == 1 else os._exit(1){SERVE}"
    samples, faults = run(fixtures, tmp_path, code, [Load()])
    assert samples == []
    assert "unable to connect" in faults["mosec-engine"]

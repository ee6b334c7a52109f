"""What the bench starts and ends, and the material it works on."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scripts.base.errors import Refusal
from scripts.bench import procfs
from scripts.bench.material import own_photos, without_others
from scripts.bench.servers import cluster_text, end, running
from scripts.bench.subjects import REFERENCE, SERVER, SERVICE, Load, Material, Subject
from scripts.cluster.config import load_cluster
from scripts.cluster.hardware import Cpu, Hardware
from scripts.cluster.plan import plan
from tests.wait import until

FAMILY = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FAMILY}"


def start(code: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    until("it has a child", lambda: len(procfs.family([process.pid])) == 2)
    return process


@pytest.fixture
def material(tmp_path: Path) -> Material:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/one.jpg").write_bytes(b"\xff\xd8\xff")
    names = {REFERENCE: tmp_path / "model"}
    cpus = frozenset(os.sched_getaffinity(0))
    return Material(names, names, tmp_path / "pictures", tmp_path / "cluster.toml", cpus, [frozenset({min(cpus)})])


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
    with pytest.raises(Refusal) as refusal, running(subject, material, tmp_path):
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


def test_a_service_of_one_slot_has_one_worker_on_that_slot(material: Material, tmp_path: Path) -> None:
    machine = Hardware(tuple(Cpu(number, number, 0, 0) for number in range(2)), (), 8 << 30)
    for one_slot, cpus in ((True, [(0,)]), (False, [(0,), (1,)])):
        subject = Subject("x", "a service", SERVICE, REFERENCE, (Load(),), one_slot)
        file = tmp_path / "cluster.toml"
        file.write_text(cluster_text(subject, Material({REFERENCE: tmp_path}, {}, tmp_path, file, frozenset({0, 1}),
                                                       [frozenset({0}), frozenset({1})]), 9000))  # fmt: skip
        cluster = load_cluster(file)
        assert cluster.port == 9000
        assert [worker.slot.cpus for worker in plan(cluster, {"this": machine}).workers] == cpus


MODEL = """name = "resnet18"

[engine]
name = "torch"
precision = "bf16"
batch_sizes = [1, 4]
[engine.prepared]
openvino-f32 = "prepared/f32.xml"
[[engine.measured]]
machine = "here"
engine = "openvino"
precision = "int8"
batch_sizes = [1]
images_per_s = 300.0
chosen = true
[[engine.measured]]
machine = "here"
engine = "torch"
precision = "f32"
batch_sizes = [1]
images_per_s = 30.0
[[engine.measured]]
machine = "here"
engine = "openvino"
precision = "f32"
batch_sizes = [1, 2]
images_per_s = 50.0
[[engine.measured]]
machine = "elsewhere"
engine = "onnxruntime"
precision = "f32"
batch_sizes = [8]
images_per_s = 500.0
"""


@pytest.mark.parametrize(("kind", "name", "sizes"), [("here", "openvino", [1, 2]), ("elsewhere", "onnxruntime", [8])])
def test_f32_only_is_the_fastest_f32_engine_that_was_measured_here(kind: str, name: str, sizes: list[int]) -> None:
    table = tomllib.loads(without_others(MODEL, kind))
    assert table["name"] == "resnet18"
    assert table["engine"] == {
        "name": name, "precision": "f32", "batch_sizes": sizes, "prepared": {"openvino-f32": "prepared/f32.xml"}
    }  # fmt: skip


def test_f32_only_is_the_safe_engine_where_nothing_was_measured() -> None:
    table = tomllib.loads(without_others(MODEL, "nowhere"))
    assert table["engine"]["name"] == "torch"
    assert table["engine"]["precision"] == "f32"
    assert table["engine"]["batch_sizes"] == [1, 4]


def test_own_photos_are_a_folder_of_pictures_and_nothing_else(tmp_path: Path) -> None:
    def refused(folder: Path) -> str:
        with pytest.raises(Refusal) as refusal:
            own_photos(folder)
        return "\n".join(refusal.value.lines)

    assert refused(tmp_path / "none") == f"PHOTOS: {tmp_path / 'none'}: no such folder"
    needed = "needed files ending in .jpg, .jpeg, .png, .webp"
    assert refused(tmp_path) == f"PHOTOS: {tmp_path}: found no pictures, {needed}"
    (tmp_path / "a.JPG").touch()
    assert own_photos(tmp_path) == tmp_path
    (tmp_path / "notes.txt").touch()
    assert refused(tmp_path) == f"PHOTOS: {tmp_path}: found notes.txt, {needed} and no others"

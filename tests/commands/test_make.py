"""`make up` and its companions on the real thing: supervisord, Nginx, the gate and two workers."""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from scripts.runtimes.local.files import worker_ports
from scripts.runtimes.preflight import has_ipv6, port_faults
from scripts.runtimes.run_directory import run_dir
from tests.commands.services import LONGEST, ONE_WORKER, PATIENT, make_here, nothing_lost, processes, workers_in
from tests.folders import openvino_folder
from tests.processes import stat
from tests.service import Service, create, table
from tests.wait import until

PAGE = "https://intra.example.org"
ORPHANS = "-- supervisord is gone: ending the processes it left behind"


@pytest.fixture(scope="module")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small prepared model folder."""
    return openvino_folder(tmp_path_factory.mktemp("models") / "bright")


@pytest.fixture(scope="module")
def running(bright: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of the small model, shared by the tests that leave it as it was."""
    extra = f'[limits]\nmax_body_mb = 3\n{LONGEST}[gateway]\ncors_origins = ["{PAGE}"]\n'
    service = create(tmp_path_factory.mktemp("running"), table("bright", bright), extra)
    service.up()
    yield service
    service.down()


def session(leader: int) -> dict[int, str]:
    """The command line of every process of a session, by its id: what a supervisord started stays in its own."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, *numbers = stat(entry)[:4]
            if int(numbers[2]) == leader and state != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    return found


@dataclass(frozen=True)
class Unsupervised:
    """A service whose supervisord was killed, and the id that this had."""

    service: Service
    supervisord: int

    @property
    def left(self) -> dict[int, str]:
        return session(self.supervisord)

    def kill(self, part: str) -> None:
        """Kill every process with `part` in its command line; none for ""."""
        for pid in [pid for pid, line in self.left.items() if part and part in line]:
            os.kill(pid, signal.SIGKILL)
        until("they are gone", lambda: not part or not any(part in line for line in self.left.values()))


def test_the_lines_of_one_request_are_found_in_all_logs(running: Service) -> None:
    requests.post(f"{running.endpoint}/predict", b"text", headers={"X-Request-ID": "the-one"}, timeout=60)
    texts = [
        path for path in (running.run_dir / "logs").glob("*.log") if path.stem in ("nginx-log", *processes(running))
    ]
    until("both have logged it", lambda: sum('"the-one"' in text.read_text() for text in texts) == 2)
    found = make_here(running, "logs", "REQUEST=the-one")
    assert found.returncode == 0
    lines = [line.partition(": ") for line in found.stdout.splitlines()]
    assert [(log, json.loads(text)["status"]) for log, _, text in lines] in (
        [("bright-0", 415), ("nginx-log", 415)],
        [("bright-1", 415), ("nginx-log", 415)],
    )
    assert "found no line of other" in make_here(running, "logs", "REQUEST=other").stderr


def test_a_second_up_leaves_the_running_service_as_it_is(running: Service) -> None:
    before = processes(running)
    assert "-- already running" in running.up()
    assert processes(running) == before


def test_the_gateway_listens_on_every_family_that_the_machine_has(running: Service) -> None:
    hosts = ["127.0.0.1", *(["[::1]"] if has_ipv6() else [])]
    answers = [requests.get(f"http://{host}:{running.port}/livez", timeout=60) for host in hosts]
    assert [answer.status_code for answer in answers] == [200] * len(hosts)


def test_nginx_and_the_workers_have_the_limit_and_the_origins_of_the_cluster_file(running: Service) -> None:
    refused = requests.post(f"{running.endpoint}/predict", bytes((3 << 20) + 1), headers={"Origin": PAGE}, timeout=60)
    assert refused.status_code == 413
    assert "needed at most 3 MB" in refused.json()["error"]["message"]
    assert refused.headers["Access-Control-Allow-Origin"] == PAGE
    (port, *_) = worker_ports(run_dir(running.run_dir)).values()
    by_worker = requests.post(f"http://127.0.0.1:{port}/predict", bytes((3 << 20) + 1), timeout=60)
    assert by_worker.status_code == 413
    assert f"needed at most {3 << 20}" in by_worker.json()["error"]["message"]


def test_every_worker_is_pinned_to_cores_of_its_own(running: Service) -> None:
    masks = [os.sched_getaffinity(pid) for pid in processes(running).values()]
    assert len(masks) == 2
    assert set.union(*masks) <= os.sched_getaffinity(0)
    assert sum(map(len, masks)) == len(set.union(*masks))


def test_everything_written_lies_in_the_run_directory(running: Service) -> None:
    # OpenVINO's package would leave a folder `intel` in HOME, which is the run directory, and report from there.
    assert sorted(path.name for path in running.run_dir.iterdir()) == [
        "cache", "gateway", "logs", "rendered", "runtime", "supervisord.conf", "supervisord.pid", "supervisord.sock",
    ]  # fmt: skip


def test_status_shows_every_slot(running: Service) -> None:
    done = make_here(running, "status")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert rows[0][:6] == ["server", "slot", "worker", "state", "in", "model"]
    assert [row[:6] for row in rows[1:]] == [
        ["this", f"this-cpu{n}", f"bright-{n}", "ready", "yes", "bright"] for n in (0, 1)
    ]


def test_logs_show_the_end_of_every_log(running: Service) -> None:
    requests.post(f"{running.endpoint}/predict", headers={"X-Request-ID": "seen-in-the-logs"}, timeout=60)
    until("Nginx has logged it", lambda: "seen-in-the-logs" in (running.run_dir / "logs/nginx-log.log").read_text())
    shown = running.make("logs").stdout
    assert "seen-in-the-logs" in shown
    assert all(f"{name}.log <==" in shown for name in ("bright-0", "bright-1", "gate", "nginx", "supervisord"))


def test_doctor_says_that_the_ports_are_ours(running: Service) -> None:
    done = make_here(running, "doctor")
    assert done.returncode == 0, done.stdout
    assert (
        f"ok  ports and memory: enough memory, ports {running.port} to {running.port + 2} in use by this service"
        in done.stdout
    )


def test_no_request_is_lost_when_a_worker_is_killed_and_then_the_gate(running: Service, bright: Path) -> None:
    victim, starts = processes(running)["bright-0"], gate_starts(running)
    with nothing_lost(running, bright / "golden/one.png", "bright") as load:
        until("both workers answer", lambda: len(load.workers()) == 2)
        os.killpg(os.getpgid(victim), signal.SIGKILL)
        until("the worker is back under a new process", lambda: processes(running).get("bright-0", victim) != victim)
        until("it is in rotation", lambda: workers_in(running) == {"bright-0", "bright-1"})
        back = time.monotonic()
        until("it answers again", lambda: load.workers(back)["bright-0"] > 3)
        os.kill(gate(running), signal.SIGKILL)
        until("a new gate says so", lambda: gate_starts(running) == starts + 1)


def test_a_rollout_replaces_every_worker_and_loses_no_request(running: Service, bright: Path) -> None:
    before = processes(running)
    with nothing_lost(running, bright / "golden/one.png", "bright"):
        done = running.make("rollout")
        assert done.returncode == 0, done.stdout + done.stderr
    assert workers_in(running) == processes(running).keys() == {"bright-2", "bright-3"}
    assert not set(processes(running).values()) & set(before.values())


def test_a_change_to_a_port_that_is_taken_leaves_what_runs(running: Service, bright: Path) -> None:
    text, before = running.cluster.read_text(), processes(running)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        running.cluster.write_text(text.replace(f"port = {running.port}", f"port = {port}"))
        done = make_here(running, "up")
        running.cluster.write_text(text)
    assert done.returncode != 0
    assert (
        f"!! port {port}: already in use: stop the process that listens there, or set another port"
        in done.stderr.splitlines()
    )
    assert processes(running) == before
    assert "-- already running" in running.up()


@pytest.fixture(scope="module")
def abandoned(bright: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose supervisord is killed time and again."""
    service = create(tmp_path_factory.mktemp("abandoned"), table("bright", bright), PATIENT + ONE_WORKER)
    yield service
    service.make("down")


def without_supervisord(service: Service) -> Unsupervised:
    """Kill the service's supervisord."""
    supervisord = int((service.run_dir / "supervisord.pid").read_text())
    os.kill(supervisord, signal.SIGKILL)
    until("it is gone", lambda: supervisord not in session(supervisord))
    return Unsupervised(service, supervisord)


def test_a_killed_supervisord_is_told_and_up_and_down_end_what_it_left(abandoned: Service, running: Service) -> None:
    gone = (
        "!! supervisord is gone: processes that end are not restarted; "
        "`make up` ends the rest and starts the service again"
    )
    others = processes(running)
    abandoned.up()
    first = without_supervisord(abandoned)
    done = make_here(abandoned, "status")
    assert done.returncode != 0
    assert [line.split()[3:5] for line in done.stdout.splitlines()[1:]] == [["ready", "yes"]]
    assert gone in done.stderr.splitlines()
    assert gone in make_here(abandoned, "rollout").stderr.splitlines()
    assert (
        f"ports {abandoned.port} to {abandoned.port + 1} in use by this service"
        in make_here(abandoned, "doctor").stdout
    )
    assert first.left
    assert ORPHANS in abandoned.up().splitlines()
    assert not first.left
    assert workers_in(abandoned) == {"bright-0"}

    second = without_supervisord(abandoned)
    second.kill("nginx: master")
    done = abandoned.make("down")
    assert (done.returncode, done.stdout) == (0, f"{ORPHANS}\n")
    assert not second.left
    assert not port_faults([abandoned.port])
    assert [path.name for path in abandoned.run_dir.iterdir()] == ["logs"]
    assert make_here(abandoned, "down").stdout == "nothing is running\n"
    assert processes(running) == others
    assert requests.get(f"{running.endpoint}/readyz", timeout=60).status_code == 200


def test_an_nginx_of_a_run_directory_that_was_deleted_is_ended_by_up_and_by_down(abandoned: Service) -> None:
    abandoned.up()
    for target in ("up", "down"):
        unsupervised = without_supervisord(abandoned)
        for part in ("-m gate", "gunicorn"):
            unsupervised.kill(part)
        shutil.rmtree(abandoned.run_dir)
        done = abandoned.make(target)
        assert done.returncode == 0, done.stderr
        assert ORPHANS in done.stdout.splitlines()
        assert not unsupervised.left


def gate(service: Service) -> int:
    """The process id of the gate that probes."""
    members = f"{service.run_dir}/gateway/rendered/members.json".encode()
    return next(int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if members in _read(path))


def gate_starts(service: Service) -> int:
    """How often a gate has started, as its log says."""
    return (service.run_dir / "logs/gate.log").read_text().count('"started"')


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""

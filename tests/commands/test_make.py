"""`make up` and its companions on the real thing: supervisord, Nginx, the gate and two workers."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from scripts.cluster.config import load_cluster
from scripts.cluster.models import read_models
from scripts.runtimes.preflight import has_ipv6, port_faults
from scripts.runtimes.run_directory import run_dir
from tests.commands.services import LONGEST, ONE_WORKER, PATIENT, make_here, nothing_lost
from tests.folders import openvino_folder, torchvision_folder
from tests.processes import stat
from tests.service import PHOTOS, Service, create, table
from tests.wait import until
from worker.models.folder import read_folder

PAGE = "https://intra.example.org"
ORPHANS = "-- supervisord is gone: ending the processes it left behind"
READY_LINE = re.compile(r"ready: (http://127\.0\.0\.1:\d+)/")


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


def processes(service: Service) -> dict[str, int]:
    """The process ids of the workers' masters, by worker name."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environ = dict(part.split("=", 1) for part in (entry / "environ").read_text().split("\0") if "=" in part)
            parent = int(stat(entry)[1])
        except OSError:
            continue
        if environ.get("HOME") == str(service.run_dir) and "WANWU_WORKER" in environ:
            found[int(entry.name)] = (environ["WANWU_WORKER"], parent)
    return {name: pid for pid, (name, parent) in found.items() if parent not in found}


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


def workers_in(service: Service) -> set[str]:
    status = requests.get(f"{service.endpoint}/status", timeout=60).json()
    return {worker["worker"] for worker in status["workers"] if worker["in"]}


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
    (port, *_) = run_dir(running.run_dir).ports.values()
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


@dataclass(frozen=True)
class Pair:
    """A service of `photos` and of `small`, which needs torch, and what `make up` printed."""

    service: Service
    small: Path
    printed: str


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    small = torchvision_folder(tmp_path_factory.mktemp("torch") / "small")
    service = create(tmp_path_factory.mktemp("pair"), PHOTOS + table("small", small), PATIENT)
    yield Pair(service, small, service.up())
    service.down()


def test_up_ends_with_the_endpoint_a_curl_line_and_the_answer_in_both_languages(pair: Pair) -> None:
    service, printed = pair.service, pair.printed
    golden = read_models(load_cluster(service.cluster))["photos"].golden
    curl = next(line.strip() for line in printed.splitlines() if line.strip().startswith("curl "))
    answer = subprocess.run(shlex.split(curl), cwd=service.root, capture_output=True, text=True, check=True).stdout
    best = json.loads(answer)["predictions"][0]
    assert str(golden.relative_to(service.root)) in curl
    assert READY_LINE.search(printed).group(1) == service.endpoint  # type: ignore[union-attr]
    assert f"{best['score']:7.1%}  {best['label_zh']}  {best['label_en']}" in printed
    assert re.search(r"[\u4e00-\u9fff]", best["label_zh"])


def test_two_models_are_reached_by_name_and_the_first_is_the_default(pair: Pair) -> None:
    image = (pair.small / "golden/one.png").read_bytes()
    asked = {"default": "/predict", "photos": "/predict?model=photos", "small": "/predict?model=small"}
    answers = {name: _post(pair.service, path, image).json() for name, path in asked.items()}
    assert {name: answer["worker"] for name, answer in answers.items()} == {
        "default": "photos-0", "photos": "photos-0", "small": "small-0"
    }  # fmt: skip
    assert answers["small"]["predictions"][0]["index"] == read_folder(pair.small).golden[0].index
    unknown = _post(pair.service, "/predict?model=nope", image)
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "unknown_model"
    assert "photos, small" in unknown.json()["error"]["message"]


def test_a_model_that_needs_torch_gets_it_and_the_others_do_not(pair: Pair) -> None:
    status = requests.get(f"{pair.service.endpoint}/status", timeout=60).json()
    assert {worker["worker"]: worker["engine"] for worker in status["workers"]} == {
        "photos-0": "openvino", "small-0": "torch"
    }  # fmt: skip


def test_down_leaves_no_process_no_port_and_no_file_but_the_logs(pair: Pair) -> None:
    service = pair.service
    assert len(processes(service)) == 2
    service.down()
    assert [path.name for path in service.run_dir.iterdir()] == ["logs"]
    assert not processes(service)
    assert sorted(path.name for path in service.cluster.parent.iterdir()) == ["cluster.toml", "run", "run.history"]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", service.port)) != 0
    assert make_here(service, "down").stdout == "nothing is running\n"


def _refused(service: Service, target: str = "up") -> list[str]:
    """The lines with which `make` refuses; nothing may be left running or half-written."""
    done = make_here(service, target)
    assert done.returncode != 0
    assert not processes(service)
    return [line.removeprefix("!! ") for line in done.stderr.splitlines() if line.startswith("!! ")]


def test_a_port_in_use_is_named(bright: Path, tmp_path: Path) -> None:
    service = create(tmp_path, table("bright", bright))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", service.port + 1))
        holder.listen()
        assert _refused(service) == [
            f"port {service.port + 1}: already in use: stop the process that listens there, or set another port"
        ]
    assert not service.run_dir.exists()


def test_a_changed_weight_is_named_and_nothing_is_left_running(bright: Path, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(bright, folder)
    with (folder / "model.bin").open("ab") as file:
        file.write(b"!")
    service = create(tmp_path / "service", table("bright", folder), PATIENT + ONE_WORKER)
    (line,) = _refused(service)[-1:]
    assert re.fullmatch(
        r"bright-\d is broken: changed/model.bin: sha256 is \w{64}, model.toml says \w{64}; copy the file again",
        line,
    )
    # Its logs are there still, and another runtime may serve from here now.
    assert (service.run_dir / "logs/bright-0.log").exists()
    assert run_dir(service.run_dir).runtime is None


def test_a_model_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    service = create(tmp_path, table("bright", Path("/no/such/folder")))
    assert _refused(service) == [
        f"{service.cluster}: models/0/folder: /no/such/folder: no such folder: "
        "name an existing one; is the models volume mounted?"
    ]


def test_every_fault_of_the_cluster_file_is_named_at_once(tmp_path: Path) -> None:
    service = create(tmp_path, PHOTOS, '[[servers]]\ngpu = "auto"\nworkers = 0\n')
    assert _refused(service) == [
        f'{service.cluster}: servers/0/gpu: unknown key, did you mean "gpus"?',
        f'{service.cluster}: servers/0/workers: found 0, needed "auto" or a whole number from 1',
    ]


def test_a_run_directory_too_deep_for_sockets_is_named(tmp_path: Path) -> None:
    service = create(tmp_path)
    deep = Service(service.cluster, tmp_path / ("deep" * 30), service.port)
    (line,) = _refused(deep)
    assert line.startswith(f"{deep.run_dir}: found a path that makes its socket paths longer than 107 bytes")


def test_commands_that_need_a_running_service_say_so(tmp_path: Path) -> None:
    service = create(tmp_path)
    assert _refused(service, "status") == [f"no gateway answers at {service.endpoint}: run `make up`"]
    assert _refused(service, "rollout") == ["nothing is running here: run `make up` first"]
    assert _refused(service, "logs") == [f"{service.run_dir}/logs: no logs: nothing was started here, run `make up`"]


def gate(service: Service) -> int:
    """The process id of the gate that probes."""
    members = f"{service.run_dir}/gateway/rendered/members.json".encode()
    return next(int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if members in _read(path))


def gate_starts(service: Service) -> int:
    """How often a gate has started, as its log says."""
    return (service.run_dir / "logs/gate.log").read_text().count('"started"')


def _post(service: Service, path: str, image: bytes) -> requests.Response:
    return requests.post(service.endpoint + path, data=image, headers={"Content-Type": "image/png"}, timeout=60)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""

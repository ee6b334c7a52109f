"""The service under Docker Compose: real images, real containers, and what befalls them under load."""

import errno
import io
import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import requests

from scripts.cluster.config import ROOT
from scripts.host import docker
from scripts.render.common import stop_timeout_s
from scripts.render.compose import PORT
from scripts.render.gateway import gateway_bytes
from scripts.runtimes.compose import shares
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.preflight import memory_limit
from tests.folders import image
from tests.load import steady_load
from tests.service import Service
from tests.system.conftest import metrics_port
from tests.system.containers import Container, left_over, project, said, status, volumes, workers_in
from tests.wait import until
from worker.contract.cpu_list import format_cpu_list
from worker.contract.settings import offline_variables

DARK, FAINT = 115, 122  # grey levels: the slow model answers the one at once, the other in a second or so
SLOW_S = 4  # long enough for the gate to see it, and a fifth of the deadline
WORKERS = ("slow-0", "slow-1")
PARTS = ("entrance", "gateway", *WORKERS)


@pytest.fixture
def golden(slow: Path) -> Path:
    """An image that is answered at once."""
    return slow / "golden/one.png"


def predict(service: Service, body: bytes) -> requests.Response:
    return requests.post(f"{service.endpoint}/predict", data=body, headers={"Content-Type": "image/png"}, timeout=60)


def grey(level: int) -> bytes:
    file = io.BytesIO()
    image((level, level, level)).save(file, "PNG")
    return file.getvalue()


@cache
def light(service: Service) -> bytes:
    """Return an image that keeps a worker busy for about SLOW_S seconds, as its processor answers a faint one."""
    faint_s = predict(service, grey(FAINT)).json()["timing_ms"]["inference"] / 1000
    return grey(DARK + round((FAINT - DARK) * SLOW_S / faint_s))


# --- Pinning and balancing ----------------------------------------------------------------------------------------


def test_every_process_of_a_worker_is_pinned_to_its_slot_and_no_two_slots_meet(
    running: Service, deployment: Deployment
) -> None:
    code = (
        "import pathlib, re\n"
        "for status in pathlib.Path('/proc').glob('[0-9]*/status'):\n"
        "    try:\n"
        "        print(re.search(r'Cpus_allowed_list:\\s+(\\S+)', status.read_text())[1])\n"
        "    except OSError:\n"  # a health check that has ended
        "        pass\n"
    )
    seen = {worker.name: Container(running, worker.name).python(code).split() for worker in deployment.plan.workers}
    slots = {worker.name: format_cpu_list(worker.slot.cpus) for worker in deployment.plan.workers}
    assert {name: set(masks) for name, masks in seen.items()} == {name: {cpus} for name, cpus in slots.items()}
    # init, gunicorn's master, the worker, the Python that looks, and a health check now and then
    assert min(len(masks) for masks in seen.values()) >= 4
    cpus = [cpu for worker in deployment.plan.workers for cpu in worker.slot.cpus]
    assert len(cpus) == len(set(cpus)) >= 2


def test_a_fast_request_never_queues_behind_a_slow_one(running: Service, golden: Path) -> None:
    fast = golden.read_bytes()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(predict, running, light(running))
        until("the slow one is inside a worker", lambda: busy(running))
        answers = list(takewhile(lambda _: not slow.done(), (predict(running, fast) for _ in range(10))))
        assert answers
        workers = {answer.json()["worker"] for answer in answers}
    assert {answer.status_code for answer in [slow.result(), *answers]} == {200}
    assert {slow.result().json()["worker"]} | workers == set(WORKERS)
    assert len(workers) == 1


def test_two_slow_requests_go_to_two_workers(running: Service) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(predict, running, light(running))
        until("the first is inside a worker", lambda: busy(running))
        second = pool.submit(predict, running, light(running))
    assert {first.result().json()["worker"], second.result().json()["worker"]} == set(WORKERS)


def busy(service: Service) -> list[str]:
    return [name for name, worker in status(service).items() if worker["in_flight"]]


# --- Faults, under load: no request is lost ------------------------------------------------------------------------


@contextmanager
def nothing_lost(service: Service, golden: Path) -> Iterator[None]:
    """Steady load through the block, begun once both workers answer; every request of it must be answered."""
    with steady_load(service.endpoint, golden) as load:
        until("both workers answer", lambda: len(load.workers) == 2)
        yield
        until("every worker is in rotation", lambda: workers_in(service) == set(WORKERS))
        load.workers.clear()
        until("both workers answer again", lambda: len(load.workers) == 2)
    assert load.outcomes == {"200": load.answered}


def test_a_worker_that_is_killed_is_started_again(running: Service, golden: Path) -> None:
    victim = Container(running, "slow-0")
    before = victim.inspect()
    with nothing_lost(running, golden):
        # From inside, as when memory runs out: to the engine, `docker kill` is a wish that it stay stopped.
        victim.run("sh", "-c", "kill -9 -1")
        until("it was started again", lambda: victim.inspect()["RestartCount"] == before["RestartCount"] + 1)
    after = victim.inspect()
    assert after["Id"] == before["Id"]
    assert after["State"]["StartedAt"] != before["State"]["StartedAt"]


def test_a_worker_that_is_frozen_is_left_out_until_it_wakes(running: Service, golden: Path) -> None:
    victim = Container(running, "slow-0")
    with nothing_lost(running, golden):
        docker.run(["pause", victim.name])
        try:
            until("it is out of rotation", lambda: workers_in(running) == {"slow-1"})
            assert status(running)["slow-0"]["state"] == "unreachable"
        finally:
            docker.run(["unpause", victim.name])


def test_a_rollout_replaces_every_worker_and_another_one_gives_them_their_names_back(
    running: Service, golden: Path
) -> None:
    before = {name: Container(running, name).inspect()["Id"] for name in PARTS}
    with nothing_lost(running, golden):
        for names in (("slow-2", "slow-3"), WORKERS):
            done = running.make("rollout")
            assert done.returncode == 0, done.stdout + done.stderr
            assert workers_in(running) == set(names)
    after = {name: Container(running, name).inspect()["Id"] for name in PARTS}
    assert [name for name in PARTS if after[name] == before[name]] == ["entrance", "gateway"]
    assert volumes(running) == {"entrance", *(f"cache-{name}" for name in WORKERS)}
    assert set(left_over(running)) == {Container(running, name).name for name in PARTS} | {
        f"{project(running)}_{name}" for name in ("workers", "outside")
    }


def test_an_entrance_that_is_killed_is_started_again(running: Service) -> None:
    entrance = Container(running, "entrance")
    restarts = entrance.inspect()["RestartCount"]
    entrance.run("sh", "-c", "kill -9 -1")
    until("it was started again", lambda: entrance.inspect()["RestartCount"] == restarts + 1)
    until("Nginx listens there", lambda: answers(f"{running.endpoint}/livez"))
    until("the gate listens there", lambda: answers(f"http://127.0.0.1:{metrics_port(running)}/metrics"))


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).ok
    except requests.RequestException:
        return False


def test_with_all_workers_stopped_it_says_so_and_recovers_by_itself(running: Service, golden: Path) -> None:
    names = [Container(running, worker).name for worker in WORKERS]
    docker.run(["stop", *names])
    try:
        until("no worker is in rotation", lambda: not workers_in(running))
        answer, ready = predict(running, golden.read_bytes()), requests.get(f"{running.endpoint}/readyz", timeout=60)
    finally:
        docker.run(["start", *names])
    assert (answer.status_code, ready.status_code) == (503, 503)
    error = answer.json()["error"]
    assert error.keys() == {"code", "message", "request_id"}
    assert (error["code"], ready.json()["error"]["code"]) == ("not_ready", "not_ready")
    assert error["request_id"] == answer.headers["X-Request-ID"]
    assert (answer.headers["Content-Type"], answer.headers["Retry-After"]) == ("application/json", "2")
    until("every worker is in rotation", lambda: workers_in(running) == set(WORKERS))
    assert predict(running, golden.read_bytes()).status_code == 200


def test_a_gate_that_is_killed_is_started_again(running: Service, golden: Path) -> None:
    gateway = Container(running, "gateway")
    kill = (
        "import os, pathlib, signal\n"
        "for file in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
        "    if file.read_bytes().split(b'\\0')[1:4] == [b'-m', b'gate', b'run']:\n"
        "        os.kill(int(file.parent.name), signal.SIGKILL)\n"
        "        print('killed')\n"
    )
    starts, restarts = gateway.logs().count('"started"'), gateway.inspect()["RestartCount"]
    with nothing_lost(running, golden):
        assert gateway.python(kill) == "killed\n"
        until("a new gate says so", lambda: gateway.logs().count('"started"') == starts + 1)
    assert gateway.inspect()["RestartCount"] == restarts


# --- The way out ---------------------------------------------------------------------------------------------------

# Seconds without an answer are a packet that went somewhere; the alarm ends what hangs in a look-up.
ATTEMPTS = """
import json, signal, socket, sys
signal.alarm(300)
def attempt(host, port):
    try:
        socket.create_connection((host, port), timeout=20).close()
    except socket.gaierror as error:
        return "gaierror", error.errno
    except OSError as error:
        return "OSError", error.errno
    return "connected", 0
print(json.dumps([attempt(*target) for target in json.loads(sys.argv[1])]))
"""


def attempts(container: Container, targets: list[tuple[str, int]]) -> Any:
    return json.loads(container.python(ATTEMPTS, json.dumps(targets)))


def test_no_packet_leaves_the_workers_network(running: Service) -> None:
    worker = Container(running, "slow-0")
    assert attempts(worker, [("slow-1", PORT)]) == [["connected", 0]]
    addresses = [("192.0.2.1", 443), ("198.51.100.1", 53), ("2001:db8::1", 443)]  # of RFC 5737 and 3849: nobody's
    unreachable = [["OSError", errno.ENETUNREACH], ["OSError", errno.ENETUNREACH]]
    *over_ip4, over_ip6 = attempts(worker, addresses)
    assert over_ip4 == unreachable
    assert over_ip6[1] in (errno.ENETUNREACH, errno.EADDRNOTAVAIL)
    names = [("example.org", 443), ("example.com", 80), ("wanwu.example", 443)]
    assert attempts(worker, names) == [["gaierror", socket.EAI_AGAIN]] * len(names)


def test_a_worker_has_no_default_route(running: Service) -> None:
    routes = Container(running, "slow-0").run("cat", "/proc/net/route").stdout.splitlines()[1:]
    [(destination, gateway)] = [route.split()[1:3] for route in routes]
    assert gateway == "00000000" != destination


def test_a_worker_reaches_nothing_that_listens_on_this_machine(running: Service) -> None:
    leaves = re.findall(r"\|-- (\S+)\n +/32 host LOCAL", Path("/proc/net/fib_trie").read_text())
    addresses = sorted({address for address in leaves if not address.startswith("127.")})
    assert addresses
    with socket.create_server(("0.0.0.0", 0)) as listener:
        targets = [(address, listener.getsockname()[1]) for address in addresses]
        assert attempts(Container(running, "slow-0"), targets) == [["OSError", errno.ENETUNREACH]] * len(targets)
        # The listener is one that a container with a way out does reach.
        assert ["connected", 0] in attempts(Container(running, "entrance"), targets)


def test_only_the_entrance_publishes_ports(running: Service) -> None:
    ports = {name: Container(running, name).inspect()["NetworkSettings"]["Ports"] for name in PARTS}
    bound = {name: [at for bindings in found.values() for at in bindings or ()] for name, found in ports.items()}
    metrics = metrics_port(running)
    places = {(at["HostIp"], int(at["HostPort"])) for at in bound.pop("entrance")}
    assert {port for _, port in places} == {running.port, metrics}
    assert ("127.0.0.1", metrics) in places
    assert bound == {name: [] for name in ("gateway", *WORKERS)}
    assert "wanwu_" in requests.get(f"http://127.0.0.1:{metrics}/metrics", timeout=60).text
    assert requests.get(f"http://127.0.0.1:{metrics}/livez", timeout=60).status_code == 404


# --- Hardening -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
def test_every_container_runs_without_rights(running: Service, part: str) -> None:
    container = Container(running, part)
    fields = dict(
        line.split(":\t", 1) for line in container.run("cat", "/proc/1/status").stdout.splitlines() if ":\t" in line
    )
    assert container.run("cat", "/proc/1/comm").stdout == "docker-init\n"
    assert fields["Uid"] == fields["Gid"] == "\t".join(["10001"] * 4)
    assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    config = container.inspect()["HostConfig"]
    own = {"outside"} if part == "entrance" else {"workers"}
    assert (config["Privileged"], config["PidMode"]) == (False, "")
    assert container.inspect()["NetworkSettings"]["Networks"].keys() == {f"{project(running)}_{name}" for name in own}


@pytest.mark.parametrize(("part", "writable"), [("gateway", "/gateway/tmp"), *((name, "/tmp") for name in WORKERS)])
def test_only_temporary_folders_can_be_written(running: Service, part: str, writable: str) -> None:
    code = (
        "import pathlib, sys\n"
        "for folder in sys.argv[1:]:\n"
        "    try:\n"
        "        (pathlib.Path(folder) / 'new').write_text('x')\n"
        "        print(0)\n"
        "        (pathlib.Path(folder) / 'new').unlink()\n"
        "    except OSError as error:\n"
        "        print(error.errno)\n"
    )
    app = "/gateway" if part == "gateway" else "/app"
    mounts = {mount["Destination"] for mount in Container(running, part).inspect()["Mounts"]}
    kept = set() if part == "gateway" else {"/cache"}  # what can be made again, under a volume of its own
    given = {f"/gateway/{name}" for name in ("members", "tls", "entrance")} if part == "gateway" else {"/models/slow"}
    assert mounts == kept | given
    open_to_it, closed = [writable, *kept], ["/", "/etc", app, "/usr/lib", *(mounts - kept)]
    printed = Container(running, part).python(code, *open_to_it, *closed).split()
    assert printed == ["0"] * len(open_to_it) + [str(errno.EROFS)] * len(closed)


@pytest.mark.parametrize("part", PARTS)
def test_no_container_is_given_the_engine(running: Service, part: str) -> None:
    container = Container(running, part)
    sources = [mount["Source"] for mount in container.inspect()["Mounts"]]
    assert not [source for source in sources if source.endswith(".sock") or source in ("/", "/run", "/var/run")]
    mounted = container.run("cat", "/proc/self/mountinfo").stdout
    assert "docker.sock" not in mounted
    assert "containerd.sock" not in mounted
    assert container.run("ls", "/run/docker.sock", "/var/run/docker.sock").returncode != 0


def test_memory_processes_and_logs_have_limits(running: Service, deployment: Deployment) -> None:
    for part in PARTS:
        config = Container(running, part).inspect()["HostConfig"]
        assert config["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "50m", "max-file": "5"}}
        assert config["RestartPolicy"]["Name"] == "unless-stopped"
        worker = memory_limit(deployment.models["slow"], deployment.cluster.settings)
        limits = {"entrance": (64 << 20, 16), "gateway": (gateway_bytes(deployment.cluster)[1], 256)}
        assert (config["Memory"], config["PidsLimit"]) == limits.get(part, (worker, 1024))


def test_a_worker_has_a_set_of_cpus_and_no_quota(running: Service, deployment: Deployment) -> None:
    for worker in deployment.plan.workers:
        config = Container(running, worker.name).inspect()["HostConfig"]
        assert [config[name] for name in ("NanoCpus", "CpuQuota", "CpuPeriod")] == [0, 0, 0]
        assert config["CpusetCpus"] == format_cpu_list(worker.slot.cpus)


def test_what_serves_has_more_of_a_core_than_a_build(running: Service, deployment: Deployment) -> None:
    for part in ("gateway", *WORKERS):
        assert Container(running, part).inspect()["HostConfig"]["CpuShares"] == shares.SERVING


def test_a_worker_may_take_its_time_to_drain(running: Service, deployment: Deployment) -> None:
    stop_s = {Container(running, name).inspect()["Config"]["StopTimeout"] for name in WORKERS}
    assert stop_s == {stop_timeout_s(deployment.cluster)}


# --- What the containers are told ----------------------------------------------------------------------------------


def test_every_library_of_a_worker_is_told_to_stay_offline(running: Service) -> None:
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    for name in WORKERS:
        environ = json.loads(Container(running, name).python(code))
        assert {key: environ.get(key) for key in offline_variables()} == offline_variables()


def test_a_worker_is_healthy_by_its_own_word(running: Service) -> None:
    for name in WORKERS:
        until(f"{name} is healthy", lambda name=name: health(running, name)["Status"] == "healthy")  # type: ignore[misc]
        (said, *_) = (check["Output"] for check in reversed(health(running, name)["Log"]) if check["ExitCode"] == 0)
        assert (json.loads(said)["worker"], json.loads(said)["state"]) == (name, "ready")


def health(service: Service, part: str) -> Any:
    return Container(service, part).inspect()["State"]["Health"]


# --- The gateway ---------------------------------------------------------------------------------------------------


def test_the_gateway_serves_the_web_page(running: Service) -> None:
    answer = requests.get(running.endpoint, timeout=60)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.content == (ROOT / "nginx/web/index.html").read_bytes()


def test_status_lists_every_worker(running: Service) -> None:
    done = running.make("status")
    assert done.returncode == 0, done.stderr
    rows = [line.split()[:6] for line in done.stdout.splitlines()[1:]]
    assert rows == [["this", f"this-cpu{n}", f"slow-{n}", "ready", "yes", "slow"] for n in (0, 1)]


def test_logs_show_every_container(running: Service, golden: Path) -> None:
    headers = {"X-Request-ID": "seen-in-the-logs", "Content-Type": "image/png"}
    requests.post(f"{running.endpoint}/predict", data=golden.read_bytes(), headers=headers, timeout=60)
    until("the request was logged", lambda: "seen-in-the-logs" in Container(running, "gateway").logs())
    printed = running.make("logs").stdout
    assert "seen-in-the-logs" in printed
    assert {line.split("|")[0].strip() for line in printed.splitlines()} == {f"{part}-1" for part in PARTS}


def test_the_lines_of_one_request_are_found_in_all_containers(running: Service) -> None:
    headers = {"X-Request-ID": "the-one", "Content-Type": "image/png"}
    requests.post(f"{running.endpoint}/predict", data=b"text", headers=headers, timeout=60)

    def found() -> list[str]:
        return sorted({line.partition(": ")[0] for line in running.make("logs", "REQUEST=the-one").stdout.splitlines()})

    until("gateway and worker have logged it", lambda: found() in (["gateway", "slow-0"], ["gateway", "slow-1"]))


def test_a_model_that_is_not_served_is_404(running: Service, golden: Path) -> None:
    answer = requests.post(f"{running.endpoint}/predict?model=nope", data=golden.read_bytes(), timeout=60)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_model"


# --- Commands that change nothing ------------------------------------------------------------------------------------


def test_another_runtime_than_the_one_that_serves(running: Service) -> None:
    for target in ("up", "down", "rollout"):
        assert said(replace(running, runtime="local").make(target)) == [
            f"{running.run_dir}: found the compose runtime running here, needed local: "
            "run `make down` first, or set another RUN_DIR="
        ]
    assert workers_in(running) == set(WORKERS)


def test_a_second_up_leaves_the_running_service_as_it_is(running: Service) -> None:
    parts = [Container(running, part) for part in PARTS]
    before = [part.inspect()["State"]["StartedAt"] for part in parts]
    running.up()
    assert [part.inspect()["State"]["StartedAt"] for part in parts] == before

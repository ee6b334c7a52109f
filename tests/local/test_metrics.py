"""GET /metrics of the gateway: what the gate counts and every worker says, at one address; real Nginx, real gate."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.gateway_harness import Gateway, ask, samples
from tests.service import free_ports
from tests.wait import until

POOLS = {"photos": ["photos-0", "photos-1"], "other": ["other-0"]}
IMAGE = b"image"
REQUESTS = "wanwu_gateway_requests_total"
OWN = '# HELP wanwu_a_total A.\n# TYPE wanwu_a_total counter\nwanwu_a_total{x="1"} 2\n'


@pytest.fixture(scope="module")
def port() -> int:
    """The gate's own port for metrics."""
    return free_ports(1)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Gateway]:
    options = {"metrics": {"listen": [f"127.0.0.1:{port}"], "target_ms": 250}}
    with Gateway(tmp_path_factory.mktemp("metrics"), POOLS, options=options) as gateway:
        yield gateway.start()


def test_the_gate_s_own_port_has_the_same_as_the_gateway(gateway: Gateway, port: int) -> None:
    inside, outside = ask(port, "GET", "/metrics"), gateway.ask("GET", "/metrics")
    assert [reply.header("Content-Type") for reply in (inside, outside)] == [
        "text/plain; version=0.0.4; charset=utf-8"
    ] * 2
    assert {sample.name for sample in samples(inside)} == {sample.name for sample in samples(outside)}
    assert gateway.metric("wanwu_gateway_target_seconds") == 0.25
    assert gateway.metric("wanwu_gateway_disk_size_bytes") > gateway.metric("wanwu_gateway_disk_free_bytes") > 0
    head = ask(port, "HEAD", "/metrics")
    assert (head.status, head.body) == (200, b"")
    assert [ask(port, *one).status for one in (("GET", "/"), ("POST", "/metrics"))] == [404, 405]


def test_garbage_and_crowds_at_the_own_port_take_nothing_from_others(gateway: Gateway, port: int) -> None:
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
    for connection in idle[:5]:
        connection.sendall(b"\x00" * 20_000)
    assert gateway.states_in() == set(gateway.workers)
    for connection in idle:
        connection.close()
    until("it answers", lambda: answers(port))


def answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/metrics").status == 200
    except OSError:  # as long as the crowd is not gone
        return False


def test_requests_are_counted_by_model_worker_and_status(gateway: Gateway) -> None:
    before = {model: gateway.metric(REQUESTS, model=model, status="200") for model in POOLS}
    observed = gateway.metric("wanwu_gateway_first_byte_seconds_count", model="photos")
    workers = [gateway.ask("POST", "/predict", IMAGE).json["worker"] for _ in range(4)]
    gateway.ask("POST", "/models/other", IMAGE)
    until("all are counted", lambda: gateway.metric(REQUESTS, model="other", status="200") == before["other"] + 1)
    until("all are counted", lambda: gateway.metric(REQUESTS, model="photos", status="200") == before["photos"] + 4)
    assert all(gateway.metric(REQUESTS, model="photos", worker=worker) for worker in workers)
    assert gateway.metric("wanwu_gateway_first_byte_seconds_count", model="photos") == observed + 4
    assert gateway.metric("wanwu_gateway_connections", state="active") >= 1


def test_a_retry_counts_for_the_worker_that_failed_and_the_request_for_the_other(gateway: Gateway) -> None:
    retries = "wanwu_gateway_retries_total"
    before = gateway.metric(retries, worker="photos-0")
    gateway.workers["photos-0"].set(answer="unready")
    try:
        assert gateway.answered_by(requests=8) == {"photos-1"}
    finally:
        gateway.workers["photos-0"].set(answer="ok")
    until("it is counted", lambda: gateway.metric(retries, worker="photos-0") > before)
    assert gateway.metric(retries, worker="photos-1") == 0


def test_what_workers_say_is_handed_on_with_their_names_and_nonsense_is_not(gateway: Gateway) -> None:
    gateway.workers["photos-0"].set(metrics=OWN)
    gateway.workers["photos-1"].set(metrics=OWN + "nonsense{} 1\n" + 'wanwu_a_total{worker="photos-0"} 9\n')
    gateway.workers["other-0"].set(metrics="x" * 10_000_000)
    until("both are there", lambda: gateway.metric("wanwu_a_total", x="1") == 4)
    identity = {"worker": "photos-1", "slot": "slot-of-photos-1", "model": "photos"}
    assert gateway.metric("wanwu_a_total", **identity) == 2
    assert b"nonsense" not in gateway.ask("GET", "/metrics").body
    assert gateway.states_in() == set(gateway.workers)
    gateway.workers["photos-0"].set(metrics=None)
    until("it is gone with its worker's", lambda: gateway.metric("wanwu_a_total", worker="photos-0") == 0)


def test_workers_that_are_out_and_models_without_any_are_told(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"photos": ["photos-0"]}) as own:
        own.start()
        assert own.metric("wanwu_gateway_model_ready", model="photos") == 1
        own.workers["photos-0"].set(state="broken", reason="the golden images")
        until("it is out", lambda: own.metric("wanwu_gateway_worker_in", worker="photos-0") == 0)
        assert own.metric("wanwu_gateway_model_ready", model="photos") == 0
        assert own.metric("wanwu_gateway_worker_state", worker="photos-0", state="broken") == 1
        assert own.metric("wanwu_gateway_broken_total", worker="photos-0") == 1
        own.workers["photos-0"].set(state="ready", reason=None)
        until("it is in", lambda: own.metric("wanwu_gateway_worker_in", worker="photos-0") == 1)


def test_the_own_port_is_opened_moved_and_closed_while_it_runs_and_one_in_use_is_named(tmp_path: Path) -> None:
    first = free_ports(2)
    with Gateway(tmp_path, {"photos": ["photos-0"]}) as own, socket.create_server(("127.0.0.1", first)) as taken:
        own.start()
        own.options["metrics"] = {"listen": [f"127.0.0.1:{first}", f"127.0.0.1:{first + 1}"]}
        own.write_members()
        until("the second is there", lambda: answers(first + 1))
        (refused,) = own.gate_log("metrics_not_served")
        assert (refused["address"], "in use" in refused["fault"]) == (f"127.0.0.1:{first}", True)
        taken.close()
        until("the first is there once it is free", lambda: answers(first))
        own.options["metrics"] = {}
        own.write_members()
        until("both are closed", lambda: not answers(first) and not answers(first + 1))
        assert own.metric("wanwu_gateway_members_refused") == 0
        own.write_members_text("{")
        until("that is told", lambda: own.metric("wanwu_gateway_members_refused") == 1)

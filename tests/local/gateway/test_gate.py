"""What the gate and Nginx survive: an end of the other, output that nobody reads, lists that Nginx refuses."""

import contextlib
import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from nginx.gate.freshness import FRESH
from tests.local.gateway.traffic import Stream, tries
from tests.local.gateway_harness import Gateway, stop
from tests.wait import TIMEOUT_S, until


def test_requests_are_answered_while_nobody_reads_what_nginx_and_the_gate_write(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(1 << 12))
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"0")
    os.set_blocking(writer, True)
    with Gateway(tmp_path, {"photos": ["photos-0", "photos-1"]}, output=writer) as own:
        own.init()
        own.start_nginx()
        own.start_gate()
        until("both are in", lambda: own.states_in() == {"photos-0", "photos-1"})
        own.workers["photos-0"].close()  # errors are logged, too
        assert own.answered_by(requests=50) == {"photos-1"}
        until("the gate goes on", lambda: own.listed() == {"photos-1"})
        until("all are in the log", lambda: len(own.access_log()) >= 50)
    os.close(reader)
    os.close(writer)


def test_without_the_gate_nginx_serves_on_and_its_passive_checks_hold(own: Gateway) -> None:
    assert own.gate
    own.gate.kill()
    own.gate.wait()
    own.workers["photos-0"].close()
    assert own.answered_by(requests=20) == {"photos-1"}
    until("all are in the log", lambda: len(tries(own)) == 20)
    assert 0 < tries(own).count("502, 200") <= 10
    until("the old status is refused", lambda: own.ask("GET", "/status").status == 503)
    for path in ("/status", "/readyz", "/readyz?model=photos", "/v2/health/ready"):
        reply = own.ask("GET", path)
        assert (reply.status, reply.error["code"], reply.all("Retry-After")) == (503, "not_ready", ["2"])
        assert reply.error["message"].startswith("found no report of the gate from the last 5 seconds, ")
    assert own.ask("GET", "/ping").status == 500
    assert own.ask("GET", "/livez").status == 200
    assert own.answered_by(requests=4) == {"photos-1"}
    own.start_gate()
    until("its report is new", lambda: own.ask("GET", "/readyz").status == 200)


def test_a_new_gate_drops_nobody_without_evidence(own: Gateway) -> None:
    assert own.gate
    own.gate.kill()
    own.gate.wait()
    own.workers["photos-0"].set(state="broken")
    with Stream(own) as stream:
        own.start_gate()
        until("photos-0 is out again", lambda: own.listed() == {"photos-1"})
        stream.only("photos-1")
    assert stream.faults == []
    assert {reply.status for reply in stream.replies} == {200}
    changes = [(line["worker"], line["from"], line["to"]) for line in own.gate_log("worker")]
    new = [change for change in changes[2:] if change[0] == "photos-0"]
    assert new == [
        ("photos-0", "untested, unreachable", "untested, broken"),
        ("photos-0", "untested, broken", "out, broken"),
    ]


def test_output_that_is_unchanged_reloads_nothing(own: Gateway) -> None:
    before = own.nginx_processes()
    for _ in range(5):
        as_of = own.ask("GET", "/status").json["as_of"]
        until("the next probes", partial(is_newer, own, as_of))
    own.write_members_text((own.home / "rendered/members.json").read_text() + "\n")
    until("the members are read again", lambda: len(own.gate_log("members")) == 2)
    until("the next probes", partial(is_newer, own, own.ask("GET", "/status").json["as_of"]))
    assert own.nginx_processes() == before
    assert len(own.gate_log("reloaded")) == 1


def is_newer(gateway: Gateway, as_of: str) -> bool:
    newest: str = gateway.ask("GET", "/status").json["as_of"]
    return newest > as_of


def test_a_list_that_nginx_refuses_is_taken_back_and_tried_again(own: Gateway) -> None:
    listen = own.home / "rendered/listen.conf"
    good = listen.read_text()
    listen.write_text("nonsense;\n")
    own.workers["photos-0"].set(state="draining")
    rejected = until("the refusal", lambda: own.gate_log("upstreams_rejected"))
    assert 'unknown directive "nonsense"' in rejected[0]["fault"]
    until("the old list is back", lambda: own.listed() == {"photos-0", "photos-1"})
    until("it is told", lambda: own.metric("wanwu_gateway_list_refused") == 1)
    assert own.metric("wanwu_gateway_lists_refused_total") >= 1
    listen.write_text(good)
    until("the new list is in use", lambda: own.gate_log("reloaded")[-1]["servers"] == [address(own, "photos-1")])
    assert own.listed() == {"photos-1"}
    until("it is refused no more", lambda: own.metric("wanwu_gateway_list_refused") == 0)


def address(gateway: Gateway, name: str) -> str:
    return f"127.0.0.1:{gateway.workers[name].port}"


def test_a_reload_that_found_no_nginx_is_made_good(own: Gateway) -> None:
    assert own.nginx
    stop(own.nginx)
    own.workers["photos-0"].set(state="draining")
    until("the failure", lambda: own.gate_log("reload_failed"))
    own.start_nginx()
    until("photos-1 alone", lambda: own.gate_log("reloaded")[-1]["servers"] == [address(own, "photos-1")])
    assert own.answered_by() == {"photos-1"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_gate_ends_cleanly_when_told_to(own: Gateway, number: signal.Signals) -> None:
    assert own.gate
    own.gate.send_signal(number)
    assert own.gate.wait(TIMEOUT_S) == 0
    assert own.gate_log("stopped")
    assert (own.home / "gate.err").read_text() == ""


def test_the_gate_leaves_no_half_written_file(own: Gateway) -> None:
    files = {
        "heartbeat",
        "index.json",
        "listen.conf",
        "members.json",
        "models.json",
        "names.json",
        "ready.json",
        "ready.pool_photos.json",
        "reported.json",
        "status.json",
        "target.json",
        "upstreams.conf",
    }
    assert own.gate
    stop(own.gate)
    names = {path.name for path in (own.home / "rendered").iterdir()}
    assert {name for name in names if not name.startswith(FRESH)} == files
    json.loads((own.home / "rendered/status.json").read_text())

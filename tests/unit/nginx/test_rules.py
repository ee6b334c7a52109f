"""The gate's rules: who is in rotation, and what an answer of /readyz says."""

import json
from dataclasses import replace
from typing import Any

import pytest

from nginx.gate.members import Member
from nginx.gate.outliers import eject, release
from nginx.gate.rules import Peer, Probe, next_state, parse_readyz, select_servers
from nginx.gate.status import render_status
from tests.unit.nginx.peers import AT, DISCOVERED, IN, LATER, LISTED, OUT, UNTESTED, A, B, C, after, at


@pytest.mark.parametrize("state", ["unreachable", "starting", "broken"])
def test_a_peer_leaves_at_the_third_failure_in_a_row(state: str) -> None:
    assert after(IN, state, state).rotation == "in"
    assert after(IN, state, state, state).rotation == "out"


def test_failures_of_different_kinds_add_up() -> None:
    assert after(IN, "unreachable", "starting", "broken").rotation == "out"


def test_one_success_resets_the_count_of_failures() -> None:
    assert after(IN, "broken", "broken", "ready", "broken", "broken").rotation == "in"


def test_a_draining_peer_leaves_at_once() -> None:
    assert after(IN, "draining").rotation == "out"
    assert after(UNTESTED, "draining").rotation == "out"


def test_a_peer_enters_at_the_second_success_in_a_row() -> None:
    assert after(OUT, "ready").rotation == "out"
    assert after(OUT, "ready", "unreachable", "ready").rotation == "out"
    assert after(OUT, "ready", "ready").rotation == "in"


def test_an_untested_peer_enters_at_its_first_success_and_leaves_at_its_third_failure() -> None:
    assert after(UNTESTED, "ready").rotation == "in"
    assert after(UNTESTED, "starting", "starting").rotation == "untested"
    assert after(UNTESTED, "starting", "starting", "starting").rotation == "out"


def test_an_ejected_peer_stays_out_however_well_its_probes_go() -> None:
    ejected = eject(replace(IN, state="ready"), LATER, 100.0, 30.0)
    assert (ejected.rotation, ejected.since, ejected.ejections, ejected.ejected_until) == ("ejected", LATER, 1, 130.0)
    assert after(ejected, "ready", "ready", "ready").rotation == "ejected"
    assert release(after(ejected, "ready", "ready"), 129.9).rotation == "ejected"


def test_after_its_time_an_ejected_peer_enters_as_any_other() -> None:
    released = release(after(eject(IN, LATER, 100.0, 30.0), "ready", "ready"), 130.0)
    assert released.rotation == "out"
    assert after(released, "ready").rotation == "out"
    assert after(released, "ready", "ready").rotation == "in"


def test_an_ejected_peer_whose_probes_fail_is_merely_out() -> None:
    ejected = eject(IN, LATER, 100.0, 30.0)
    assert after(ejected, "broken", "broken", "starting").rotation == "out"
    assert after(ejected, "draining").rotation == "out"
    assert after(ejected, "draining", "ready", "ready").rotation == "in"


def test_an_ejection_lasts_longer_each_time_up_to_a_limit_and_is_forgotten() -> None:
    peer, now, lasted = IN, 1000.0, list[float]()
    for _ in range(12):
        peer = eject(peer, AT, now, 30.0)
        lasted.append(peer.ejected_until - now)
        now = peer.ejected_until + 1.0
    assert lasted == [30.0, 60.0, 90.0, 120.0, 150.0, 180.0, 210.0, 240.0, 270.0, 300.0, 300.0, 300.0]
    assert eject(peer, AT, peer.ejected_until + 300.0, 30.0).ejections == 1


def test_since_is_the_time_of_the_last_state_change() -> None:
    ready = next_state(IN, Probe("ready", None, "t1"))
    assert ready.since == "t1"
    assert next_state(ready, Probe("ready", None, "t2")).since == "t1"
    assert next_state(ready, Probe("broken", "gone", "t3")).since == "t3"


REPORTED = {
    "cpus": "0-3",
    "gpu": "GPU-1",
    "version": "1",
    "engine": "torch",
    "precision": "bf16",
    "in_flight": 0,
    "queued": 0,
}


def parsed(status: int, **changes: Any) -> Probe:
    who = {"worker": "photos-0", "slot": "s", "model": "photos"}
    answer = {"state": "ready", "reason": None, **who, **REPORTED, **changes}
    return parse_readyz(A, status, json.dumps(answer).encode(), AT)


def test_the_reported_state_reason_and_facts_are_parsed() -> None:
    assert parsed(200) == Probe("ready", None, AT, REPORTED)
    assert parsed(503, state="broken", reason="no memory") == Probe("broken", "no memory", AT, REPORTED)


def test_what_a_slot_is_stays_known_while_its_worker_does_not_answer() -> None:
    gone = next_state(next_state(IN, parsed(200, cpus="0-3", gpu=None)), Probe("unreachable", "timed out", LATER))
    assert gone.facts == {"cpus": "0-3", "gpu": None}


@pytest.mark.parametrize("body", [b"", b"OK", b"[]", b'{"state": "fine"}', b"\xff", b"[" * 60_000])
def test_an_answer_without_a_known_state_counts_as_unreachable(body: bytes) -> None:
    assert parse_readyz(A, 200, body, AT) == Probe("unreachable", "its /readyz answered 200 without a known state", AT)


def test_another_worker_at_the_address_counts_as_unreachable() -> None:
    reason = "127.0.0.1:8081 answers as worker 'x-0' of model 'x'"
    assert parsed(200, worker="x-0", model="x") == Probe("unreachable", reason, AT)


def test_a_discovered_worker_gets_the_identity_it_reports() -> None:
    answer = {"state": "ready", "reason": None, "worker": "photos-b-cpu0", "slot": "b-cpu0", "model": "photos"}
    probe = parse_readyz(DISCOVERED, 200, json.dumps(answer).encode(), AT)
    assert (probe.state, probe.identity) == ("ready", {"worker": "photos-b-cpu0", "slot": "b-cpu0"})
    peer = next_state(replace(IN, address=DISCOVERED.address), probe)
    status = render_status(
        {"photos": (DISCOVERED,)}, {DISCOVERED: peer}, {DISCOVERED.worker: DISCOVERED.address}, LATER
    )["workers"][0]
    assert [status[key] for key in ("worker", "server", "slot", "in")] == ["photos-b-cpu0", "b", "b-cpu0", True]
    assert next_state(peer, Probe("unreachable", "timed out", LATER)).identity == probe.identity


def test_another_model_at_a_discovered_address_counts_as_unreachable() -> None:
    reason = "10.0.0.7:8000 answers as worker 'x-0' of model 'x'"
    body = json.dumps({"state": "ready", "worker": "x-0", "model": "x"}).encode()
    assert parse_readyz(DISCOVERED, 200, body, AT) == Probe("unreachable", reason, AT)


@pytest.mark.parametrize(("status", "state"), [(503, "ready"), (200, "starting")])
def test_a_status_that_contradicts_the_state_counts_as_unreachable(status: int, state: str) -> None:
    assert parsed(status, state=state) == Probe("unreachable", f"its /readyz answered {status} but says {state}", AT)


def test_a_number_that_json_does_not_have_is_null() -> None:
    body = b'{"state": "ready", "worker": "photos-0", "model": "photos", "queued": NaN, "model_info": {"x": -Infinity}}'
    probe = parse_readyz(A, 200, body, AT)
    assert (probe.state, probe.facts["queued"], probe.model_info) == ("ready", None, {"x": None})


@pytest.mark.parametrize("info", ["text", 7, None, ["list"]])
def test_model_info_that_is_not_an_object_is_ignored(info: object) -> None:
    answer = {"state": "ready", "worker": "photos-0", "model": "photos", "model_info": info}
    assert parse_readyz(A, 200, json.dumps(answer).encode(), AT).model_info is None


def test_peers_out_of_rotation_are_omitted() -> None:
    assert select_servers([A, B], {A: at("10.0.0.1:1", OUT), B: at("10.0.0.2:1", IN)}, LISTED) == {
        "photos-1": "10.0.0.2:1"
    }


def test_untested_peers_are_listed() -> None:
    peers = {A: at("10.0.0.1:1", UNTESTED), B: at("10.0.0.2:1", IN)}
    assert select_servers([A, B], peers, ()) == {"photos-0": "10.0.0.1:1", "photos-1": "10.0.0.2:1"}


# --- Workers that fail together ---------------------------------------------------------------------------------

FAILED = after(at("10.0.0.9:1", IN), "broken", "broken", "broken")


def pool(good: int, *others: Peer) -> tuple[list[Member], dict[Member, Peer]]:
    """Return a pool of `good` workers in rotation and `others`, each at an address of its own."""
    states = [*[replace(IN, state="ready")] * good, *others]
    members = [replace(A, worker=f"w{number}", address=f"10.0.0.{number}:1") for number in range(len(states))]
    return members, {member: at(member.address, peer, peer.state) for member, peer in zip(members, states, strict=True)}


def listed(good: int, *others: Peer) -> int:
    members, peers = pool(good, *others)
    return len(select_servers(members, peers, [member.worker for member in members]))


def test_failing_workers_leave_down_to_half_of_the_pool_and_below_that_all_stay() -> None:
    assert [listed(good, *[FAILED] * (4 - good)) for good in (4, 3, 2, 1, 0)] == [4, 3, 2, 4, 4]
    assert [listed(good, *[FAILED] * (400 - good)) for good in (399, 200, 199, 3)] == [399, 200, 400, 400]


def test_of_two_workers_the_dead_one_leaves_and_a_single_one_stays() -> None:
    assert (listed(1, FAILED), listed(0, FAILED), listed(0, FAILED, FAILED)) == (1, 1, 2)


def test_workers_that_drain_or_start_or_were_never_in_have_not_failed() -> None:
    drained = after(IN, "draining", "unreachable", "unreachable", "unreachable", "unreachable")
    starting = after(IN, "unreachable", "unreachable", "unreachable", "starting")
    never = after(OUT, "unreachable", "unreachable", "unreachable", "unreachable")
    for peer in (drained, starting, never):
        assert (peer.rotation, peer.failed) == ("out", False)
        assert listed(1, peer, peer, peer) == 1
    assert after(FAILED, "ready").failed
    assert not after(FAILED, "ready", "ready").failed


def test_an_ejected_worker_does_not_come_back_with_the_others() -> None:
    assert listed(0, eject(replace(IN, state="ready"), AT, 0.0, 30.0), FAILED) == 1


def test_status_says_why_all_are_listed_and_they_are_not_in() -> None:
    members, peers = pool(1, FAILED, FAILED)
    addresses = {member.worker: member.address for member in members}
    status = render_status({"photos": tuple(members)}, peers, addresses, LATER)
    assert [worker["in"] for worker in status["workers"]] == [True, False, False]
    reason = "most of its workers failed, workers left: 1; requests go to all, for it may be the gate that is wrong"
    assert (status["models"][0]["ready"], status["models"][0]["reason"]) == (True, reason)


def test_when_all_peers_are_out_the_last_list_stays() -> None:
    peers = {A: at("10.0.0.1:1", OUT), B: at("10.0.0.2:1", OUT)}
    assert select_servers([A, B], peers, ["photos-1", "other-0"]) == {"photos-1": "10.0.0.2:1"}


def test_when_all_peers_are_out_and_none_was_listed_all_are_listed() -> None:
    peers = {A: at("10.0.0.1:1", OUT), B: at("10.0.0.2:1", OUT)}
    assert select_servers([A, B], peers, ["other-0"]) == {"photos-0": "10.0.0.1:1", "photos-1": "10.0.0.2:1"}


def test_a_worker_whose_name_never_resolved_is_not_listed() -> None:
    assert select_servers([A, B], {A: IN, B: at("10.0.0.2:1", OUT)}, LISTED) == {"photos-1": "10.0.0.2:1"}
    assert select_servers([A, B], {A: OUT, B: OUT}, LISTED) == {}


def test_no_worker_is_listed_at_an_address_where_another_one_answers() -> None:
    gone, newcomer = at("10.0.0.1:1", UNTESTED), at("10.0.0.1:1", OUT, "starting")
    peers = {A: gone, B: at("10.0.0.2:1", IN, "ready"), C: newcomer}
    assert select_servers([A, B], peers, LISTED) == {"photos-1": "10.0.0.2:1"}
    assert select_servers([A], peers, LISTED) == {}
    assert select_servers([C], peers, ()) == {"other-0": "10.0.0.1:1"}


def test_a_peer_keeps_the_address_its_name_resolved_to_last() -> None:
    moved = next_state(at("10.0.0.1:1", IN), Probe("ready", None, LATER, address="10.0.0.9:1"))
    assert moved.address == "10.0.0.9:1"
    assert next_state(moved, Probe("unreachable", "no such name", LATER)).address == "10.0.0.9:1"
    assert next_state(OUT, Probe("unreachable", "no such name", LATER)).address is None

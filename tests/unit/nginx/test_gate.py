"""The gate's rules, and the figures in nginx.conf that must agree with other files."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from nginx.gate.__main__ import INTERVAL_VARIABLE
from nginx.gate.bypass import GROUPS, bypass_file, bypass_group
from nginx.gate.members import DiscoveredPool, Member, MembersError, Pools, parse_members
from nginx.gate.options import DEFAULTS, Options, parse_options, render_options
from nginx.gate.outliers import eject, release
from nginx.gate.rules import (
    KEEPALIVE_S,
    Peer,
    Probe,
    listed_pools,
    listed_servers,
    next_state,
    parse_readyz,
    render_models,
    render_status,
    render_upstreams,
    select_servers,
)
from scripts.cluster.config import ROOT
from scripts.runtimes.local.runtime import INHERITED_VARIABLES
from worker.contract.errors import ErrorCode, torchserve_type
from worker.contract.limits import LIMITS

AT = "2026-01-01T00:00:00.000+00:00"
LATER = "2026-01-01T00:00:09.000+00:00"
A = Member("photos-0", "this", "this-cpu0", "127.0.0.1:8081", "photos")
B = Member("photos-1", "this", "this-cpu1", "127.0.0.1:8082", "photos")
C = Member("other-0", "this", "this-cpu2", "127.0.0.1:8083", "other")
IN, OUT, UNTESTED = (Peer(rotation, AT) for rotation in ("in", "out", "untested"))
LISTED = {"photos-0": A.address, "photos-1": B.address}
DISCOVERED = Member("10.0.0.7:8000", "", "", "10.0.0.7:8000", "photos")


def at(address: str, peer: Peer, state: str = "unreachable") -> Peer:
    """Return `peer` at `address` in `state`."""
    return replace(peer, address=address, state=state)


def after(peer: Peer, *states: str) -> Peer:
    for state in states:
        peer = next_state(peer, Probe(state, None, LATER))
    return peer


# --- The rotation -----------------------------------------------------------------------------------------------


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


# --- The listed servers -----------------------------------------------------------------------------------------


def test_peers_out_of_rotation_are_omitted() -> None:
    assert select_servers([A, B], {A: at("10.0.0.1:1", OUT), B: at("10.0.0.2:1", IN)}, LISTED) == {
        "photos-1": "10.0.0.2:1"
    }


def test_untested_peers_are_listed() -> None:
    peers = {A: at("10.0.0.1:1", UNTESTED), B: at("10.0.0.2:1", IN)}
    assert select_servers([A, B], peers, ()) == {"photos-0": "10.0.0.1:1", "photos-1": "10.0.0.2:1"}


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


# --- upstreams.conf ---------------------------------------------------------------------------------------------


def test_upstreams_are_rendered_as_this_exact_text() -> None:
    assert render_upstreams({"photos": LISTED, "other": {"other-0": "[fd00::1]:8083"}}) == (
        "# Rendered by the gate: the workers that answer. Do not edit: every change rewrites this file.\n"
        "\n"
        "upstream pool_photos {\n"
        "    zone pool_photos 256k;\n"
        "    least_conn;\n"
        "    server 127.0.0.1:8081 max_fails=3 fail_timeout=5s;  # photos-0\n"
        "    server 127.0.0.1:8082 max_fails=3 fail_timeout=5s;  # photos-1\n"
        "    keepalive 32;\n"
        "    keepalive_timeout 60s;\n"
        "}\n"
        "upstream bypass0_pool_photos {\n"
        "    least_conn;\n"
        "    server 127.0.0.1:8082 max_fails=3 fail_timeout=5s;  # photos-1\n"
        "}\n"
        "upstream bypass1_pool_photos {\n"
        "    least_conn;\n"
        "    server 127.0.0.1:8081 max_fails=3 fail_timeout=5s;  # photos-0\n"
        "}\n"
        "upstream bypass2_pool_photos {\n"
        "    least_conn;\n"
        "    server 127.0.0.1:8081 max_fails=3 fail_timeout=5s;  # photos-0\n"
        "    server 127.0.0.1:8082 max_fails=3 fail_timeout=5s;  # photos-1\n"
        "}\n"
        "upstream bypass3_pool_photos {\n"
        "    least_conn;\n"
        "    server 127.0.0.1:8081 max_fails=3 fail_timeout=5s;  # photos-0\n"
        "    server 127.0.0.1:8082 max_fails=3 fail_timeout=5s;  # photos-1\n"
        "}\n"
        "\n"
        "upstream pool_other {\n"
        "    zone pool_other 256k;\n"
        "    least_conn;\n"
        "    server [fd00::1]:8083 max_fails=3 fail_timeout=5s;  # other-0\n"
        "    keepalive 32;\n"
        "    keepalive_timeout 60s;\n"
        "}\n"
        + "".join(
            f"upstream bypass{group}_pool_other {{\n"
            "    least_conn;\n"
            "    server [fd00::1]:8083 max_fails=3 fail_timeout=5s;  # other-0\n"
            "}\n"
            for group in range(4)
        )
        + "\n"
        "map /$model $pool {\n"
        "    / pool_photos;\n"
        "    /photos pool_photos;\n"
        "    /other pool_other;\n"
        "}\n"
        "\n"
        "map /$body_model $body_pool {\n"
        '    default "";\n'
        "    /photos pool_photos;\n"
        "    /other pool_other;\n"
        "}\n"
        "\n"
        'map "" $known_models {\n'
        '    default "photos, other";\n'
        "}\n"
        "\n"
        "client_max_body_size 32m;\n"
        "\n"
        'map "" $max_body {\n'
        '    default "32 MB";\n'
        "}\n"
        "\n"
        "map $http_origin $cors_origin {\n"
        '    default "";\n'
        "}\n"
        "\n"
        'map "" $cors_vary {\n'
        '    default "";\n'
        "}\n"
    )


def test_the_origins_of_other_pages_are_rendered() -> None:
    text = "\n".join(render_options(Options(5, ("http://a:1", "https://b"))))
    assert "client_max_body_size 5m;" in text
    assert '{\n    default "";\n    "http://a:1" $http_origin;\n    "https://b" $http_origin;\n}' in text
    assert 'map "" $cors_vary {\n    default "Origin";\n}' in text
    anyone = "\n".join(render_options(Options(cors_origins=("*",))))
    assert 'map $http_origin $cors_origin {\n    default "*";\n}' in anyone
    assert 'map "" $cors_vary {\n    default "";\n}' in anyone


def test_options_are_read_and_have_defaults() -> None:
    assert parse_options('{"pools": []}') == DEFAULTS
    given = '{"gateway": {"max_body_mb": 5, "cors_origins": ["http://a:1"]}}'
    assert parse_options(given) == Options(5, ("http://a:1",))


@pytest.mark.parametrize(
    "text",
    [
        '{"gateway": []}', '{"gateway": {"x": 1}}', '{"gateway": {"max_body_mb": 0}}',
        '{"gateway": {"max_body_mb": "5"}}', '{"gateway": {"max_body_mb": true}}',
        '{"gateway": {"cors_origins": "*"}}', '{"gateway": {"cors_origins": ["http://a/"]}}',
        '{"gateway": {"cors_origins": ["a"]}}', r'{"gateway": {"cors_origins": ["http://a\"; x"]}}',
    ],
)  # fmt: skip
def test_invalid_options_are_refused(text: str) -> None:
    with pytest.raises(MembersError, match=r"^gateway"):
        parse_options(text)


def test_an_empty_pool_gets_a_placeholder_server() -> None:
    text = render_upstreams({"photos": {}, "other": {"other-0": C.address}})
    assert "upstream pool_photos {\n    zone pool_photos 256k;\n    least_conn;\n    server 127.0.0.1:1 down;\n" in text
    assert "upstream bypass0_pool_photos {\n    least_conn;\n    server 127.0.0.1:1 down;\n" in text
    assert text.count(" down;") == 1 + GROUPS


def test_the_zone_and_the_idle_connections_grow_with_the_pool() -> None:
    sizes = {}
    for workers in (1, 32, 96, 97, 400, 4000):
        text = render_upstreams({"photos": {f"w{number}": f"10.0.0.1:{number}" for number in range(workers)}})
        zone, idle = re.search(r"zone pool_photos (\d+)k;", text), re.search(r"keepalive (\d+);", text)
        sizes[workers] = (zone and int(zone[1]), idle and int(idle[1]))
    assert sizes == {1: (256, 32), 32: (256, 32), 96: (256, 96), 97: (258, 97), 400: (864, 400), 4000: (8064, 512)}


@pytest.mark.parametrize(
    ("models", "length", "left"), [(1, 64, 0), (100, 10, 0), (30, 64, 0), (31, 64, 1), (500, 64, 470)]
)
def test_the_error_of_an_unknown_model_names_as_many_models_as_fit(models: int, length: int, left: int) -> None:
    names = [f"m{number}".ljust(length, "x") for number in range(models)]
    rendered = render_upstreams({name: {} for name in names})
    known = rendered.partition('$known_models {\n    default "')[2].partition('"')[0]
    rest = f" and {left} more, which GET /models lists" if left else ""
    assert known == ", ".join(names[: models - left]) + rest


def test_nginx_sends_the_answers_to_the_gate_once_it_listens() -> None:
    line = "\naccess_log syslog:server=127.0.0.1:7,nohostname,tag=x answers if=$upstream_addr;\n"
    assert line in render_upstreams({"photos": LISTED}, "syslog:server=127.0.0.1:7,nohostname,tag=x")
    assert "access_log" not in render_upstreams({"photos": LISTED})


def test_a_bypass_leaves_out_one_group_and_routes_conf_asks_about_each() -> None:
    text = render_upstreams({"photos": {f"photos-{number}": f"10.0.0.{number}:1" for number in range(9)}})
    routes = (ROOT / "nginx/routes.conf").read_text()
    for group in range(GROUPS):
        block = text.partition(f"upstream bypass{group}_pool_photos {{")[2].partition("}")[0]
        left_out = [number for number in range(9) if f" 10.0.0.{number}:1 " not in block]
        assert left_out == [number for number in range(9) if bypass_group(number) == group]
        file = bypass_file("", group).replace("pool_", "${pool}")
        assert f"if (-f $document_root/{file}) {{ set $upstream bypass{group}_$pool; }}" in routes
    assert routes.count("if (-f $document_root/bypass.") == GROUPS


def test_the_listed_servers_can_be_read_back() -> None:
    pools = {"photos": LISTED, "other": {"other-0": "[fd00::1]:8083"}, "third": {}}
    assert listed_servers(render_upstreams(pools)) == {**LISTED, "other-0": "[fd00::1]:8083"}
    assert listed_pools(render_upstreams(pools)) == pools
    assert listed_servers("") == {}


# --- GET /status ------------------------------------------------------------------------------------------------


def test_status_names_every_model_and_every_worker() -> None:
    facts = {"version": "1", "engine": "openvino", "precision": "f32", "in_flight": 2, "queued": 5}
    good = next_state(UNTESTED, Probe("ready", None, LATER, facts, A.address))
    gone = after(IN, "unreachable", "unreachable", "unreachable")
    gone = replace(gone, reason="timed out")
    unknown = {"version": None, "engine": None, "precision": None, "in_flight": None, "queued": None}
    assert render_status({"photos": (A,), "other": (C,)}, {A: good, C: gone}, {"photos-0": A.address}, AT) == {
        "as_of": AT,
        "models": [
            {"name": "photos", "ready": True, "workers_in": 1, "workers": 1},
            {"name": "other", "ready": False, "workers_in": 0, "workers": 1},
        ],
        "workers": [
            {"worker": "photos-0", "server": "this", "slot": "this-cpu0", "model": "photos", "in": True}
            | {"state": "ready", "reason": None, "since": LATER, **facts},
            {"worker": "other-0", "server": "this", "slot": "this-cpu2", "model": "other", "in": False}
            | {"state": "unreachable", "reason": "timed out", "since": LATER, **unknown},
        ],
    }


def test_a_listed_worker_that_was_not_probed_makes_no_model_ready() -> None:
    status = render_status({"photos": (A,)}, {A: at(A.address, UNTESTED)}, LISTED, AT)
    assert status["models"] == [{"name": "photos", "ready": False, "workers_in": 0, "workers": 1}]
    assert status["workers"][0]["reason"] == "not probed yet"


def test_status_says_that_a_worker_is_ejected() -> None:
    peers = {A: eject(replace(at(A.address, IN, "ready")), LATER, 0.0, 30.0), B: at(B.address, IN, "ready")}
    status = render_status({"photos": (A, B)}, peers, LISTED, AT)["workers"][0]
    reason = "it answered with server errors while the others did not: ejected, for the 1. time"
    assert [status[key] for key in ("in", "state", "reason", "since")] == [False, "ready", reason, LATER]
    assert select_servers([A, B], peers, LISTED) == {"photos-1": B.address}


def test_a_worker_is_not_in_before_nginx_lists_it() -> None:
    peers = {A: at(A.address, IN), B: at(B.address, IN)}
    status = render_status({"photos": (A, B)}, peers, {"photos-0": "10.0.0.1:1", "photos-1": B.address}, AT)
    assert [worker["in"] for worker in status["workers"]] == [False, True]
    assert status["models"] == [{"name": "photos", "ready": True, "workers_in": 1, "workers": 2}]


# --- Answers of /readyz -----------------------------------------------------------------------------------------


def parsed(status: int, **changes: Any) -> Probe:
    facts = {"version": "1", "engine": "torch", "precision": "bf16", "in_flight": 0, "queued": 0}
    who = {"worker": "photos-0", "slot": "s", "model": "photos"}
    answer = {"state": "ready", "reason": None, **who, **facts, **changes}
    return parse_readyz(A, status, json.dumps(answer).encode(), AT)


def test_the_reported_state_reason_and_facts_are_parsed() -> None:
    facts = {"version": "1", "engine": "torch", "precision": "bf16", "in_flight": 0, "queued": 0}
    assert parsed(200) == Probe("ready", None, AT, facts)
    assert parsed(503, state="broken", reason="no memory") == Probe("broken", "no memory", AT, facts)


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


# --- members.json -----------------------------------------------------------------------------------------------

MEMBER = {"worker": "photos-0", "server": "this", "slot": "this-cpu0", "address": "127.0.0.1:8081"}
OTHER = {"worker": "other-0", "server": "this", "slot": "this-cpu2", "address": "127.0.0.1:8083"}


def document(*pools: Any) -> str:
    return json.dumps({"pools": list(pools)})


def test_members_are_read_in_order() -> None:
    text = document({"model": "other", "members": [OTHER]}, {"model": "photos", "members": [MEMBER]})
    assert list(parse_members(text).items()) == [("other", (C,)), ("photos", (A,))]


@pytest.mark.parametrize("address", ["[fd00::1]:8080", "worker-7.lan:8080", "tasks.photos_x:1"])
def test_addresses_may_be_names_and_ipv6(address: str) -> None:
    text = document({"model": "photos", "members": [MEMBER | {"address": address}]})
    assert parse_members(text)["photos"] == (replace(A, address=address),)


def test_a_pool_may_be_discovered_by_a_host_name() -> None:
    name = DiscoveredPool("photos", "tasks.wanwu_photos:8000")
    assert parse_members(document({"model": "photos", "discover": name.address})) == {"photos": name}
    second, first = DISCOVERED, replace(DISCOVERED, worker="10.0.0.1:8000", address="10.0.0.1:8000")
    assert name.members([second.address, first.address]) == (first, second)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "pools: needed a list with at least one entry"),
        ('{"pools": [], "x": 1}', "found keys pools, x, needed an object with exactly pools"),
        (document(), "pools: needed a list with at least one entry"),
        (document({"model": "photos"}), "pools/0: needed an object with exactly model, members or model, discover"),
        (
            document({"model": "photos", "discover": "tasks.photos:8000", "members": [MEMBER]}),
            "pools/0: needed an object with exactly model, members or model, discover",
        ),
        (
            document({"model": "photos", "discover": "tasks.photos"}),
            "pools/0/discover: found 'tasks.photos', needed text that matches [A-Za-z0-9._-]+:\\d{1,5}",
        ),
        (document({"model": "photos", "members": []}), "pools/0/members: needed a list with at least one entry"),
        (
            document({"model": "photos", "members": [MEMBER | {"weight": 2}]}),
            "pools/0/members/0: needed an object with exactly worker, server, slot, address",
        ),
        (
            document({"model": "De mo", "members": [MEMBER]}),
            "pools/0/model: found 'De mo', needed text that matches [a-z0-9][a-z0-9._-]{0,63}",
        ),
        (
            document({"model": "photos", "members": [MEMBER | {"address": "1.2.3.4:80; }"}]}),
            "pools/0/members/0/address: found '1.2.3.4:80; }', needed text that matches "
            r"([A-Za-z0-9._-]+|\[[0-9a-f:]+\]):\d{1,5}",
        ),
        (
            document({"model": "photos", "members": [MEMBER | {"worker": 7}]}),
            "pools/0/members/0/worker: found 7, needed text that matches [A-Za-z0-9._-]+",
        ),
        (
            document({"model": "photos", "members": [MEMBER]}, {"model": "photos", "members": [OTHER]}),
            "model 'photos' appears twice",
        ),
        (document({"model": "photos", "members": [MEMBER, MEMBER]}), "worker 'photos-0' appears twice"),
        (
            document({"model": "photos", "members": [MEMBER, OTHER | {"address": MEMBER["address"]}]}),
            "address '127.0.0.1:8081' appears twice",
        ),
    ],
)
def test_invalid_members_are_refused_with_their_path(text: str, fault: str) -> None:
    with pytest.raises(MembersError) as caught:
        parse_members(text)
    assert str(caught.value) == fault


def test_models_keep_a_workers_description_after_the_worker_is_gone() -> None:
    answer = {"state": "ready", "worker": "photos-0", "model": "photos", "model_info": {"name": "photos", "classes": 2}}
    ready = parse_readyz(A, 200, json.dumps(answer).encode(), AT)
    gone = Probe("unreachable", "refused", LATER)
    peers = {A: next_state(next_state(at(A.address, UNTESTED), ready), gone), C: at(C.address, OUT)}
    pools: Pools = {"photos": (A,), "other": (C,)}
    assert render_models(render_status(pools, peers, {}, AT), pools, peers) == {
        "models": [{"name": "photos", "ready": False, "classes": 2}, {"name": "other", "ready": False}]
    }


def test_a_number_that_json_does_not_have_is_null() -> None:
    body = b'{"state": "ready", "worker": "photos-0", "model": "photos", "queued": NaN, "model_info": {"x": -Infinity}}'
    probe = parse_readyz(A, 200, body, AT)
    assert (probe.state, probe.facts["queued"], probe.model_info) == ("ready", None, {"x": None})


@pytest.mark.parametrize("info", ["text", 7, None, ["list"]])
def test_model_info_that_is_not_an_object_is_ignored(info: object) -> None:
    answer = {"state": "ready", "worker": "photos-0", "model": "photos", "model_info": info}
    assert parse_readyz(A, 200, json.dumps(answer).encode(), AT).model_info is None


# --- Figures that must agree ------------------------------------------------------------------------------------


def test_every_runtime_passes_the_interval_on() -> None:
    assert INTERVAL_VARIABLE in INHERITED_VARIABLES
    for name in ("compose.yaml", "stack.yaml"):
        assert f"environment: [{INTERVAL_VARIABLE}]" in (ROOT / "compose" / name).read_text()


def figure(directive: str, unit: str) -> int:
    """Return the number that nginx.conf sets for `directive`; it must occur once."""
    text = (ROOT / "nginx/nginx.conf").read_text()
    found = re.findall(rf"^\s*{directive} (\d+){unit};", text, re.MULTILINE)
    assert len(found) == 1
    return int(found[0])


def test_the_gate_and_the_worker_have_the_same_body_limit() -> None:
    assert DEFAULTS.max_body_mb == LIMITS["max_body_mb"].default
    assert "larger than $max_body," in (ROOT / "nginx/errors.conf").read_text()


def test_torchserves_names_of_errors_are_the_workers() -> None:
    text = (ROOT / "nginx/errors.conf").read_text().partition("map $error_code $error_type {")[2].partition("}")[0]
    names = dict(line.rstrip(";").split() for line in text.strip().splitlines())
    assert names.pop("default") == torchserve_type(ErrorCode.BAD_REQUEST)
    assert names == {code.value: torchserve_type(code) for code in ErrorCode if code.value in names}


def test_nginx_waits_longer_than_the_longest_deadline_of_a_worker() -> None:
    assert figure("proxy_read_timeout", "s") > LIMITS["deadline_s"].maximum


def test_a_hung_worker_leaves_time_for_the_second_try() -> None:
    spent = figure("proxy_connect_timeout", "s") + figure("proxy_read_timeout", "s")
    assert figure("proxy_next_upstream_timeout", "s") > spent
    assert figure("worker_shutdown_timeout", "s") > spent + figure("proxy_read_timeout", "s")


def test_nginx_closes_idle_connections_before_gunicorn_does() -> None:
    text = (ROOT / "worker/gunicorn.conf.py").read_text()
    keepalive = re.search(r"^keepalive = (\d+)", text, re.MULTILINE)
    assert keepalive
    assert int(keepalive[1]) > KEEPALIVE_S

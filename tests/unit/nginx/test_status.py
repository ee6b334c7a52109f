"""The documents that the gate serves."""

import json
from dataclasses import replace

from nginx.gate.members import Pools
from nginx.gate.outliers import eject
from nginx.gate.rules import Probe, next_state, parse_readyz, select_servers
from nginx.gate.status import KEPT_WHOLE, render_models, render_status
from tests.unit.nginx.peers import AT, IN, LATER, LISTED, OUT, UNTESTED, A, B, C, after, at


def test_status_names_every_model_and_every_worker() -> None:
    facts = {
        "cpus": "0-3",
        "gpu": None,
        "version": "1",
        "engine": "openvino",
        "precision": "f32",
        "in_flight": 2,
        "queued": 5,
    }
    good = next_state(UNTESTED, Probe("ready", None, LATER, facts, A.address))
    gone = after(IN, "unreachable", "unreachable", "unreachable")
    gone = replace(gone, reason="timed out")
    unknown = {
        "cpus": None,
        "gpu": None,
        "version": None,
        "engine": None,
        "precision": None,
        "in_flight": None,
        "queued": None,
    }
    assert render_status(
        {"photos": (A,), "other": (C,)}, {A: good, C: gone}, {"photos-0": A.address}, AT, {"other": {"p50_ms": 9}}
    ) == {
        "as_of": AT,
        "models": [
            {"name": "photos", "ready": True, "reason": None, "workers_in": 1, "workers": 1, "recent": None},
            {"name": "other", "ready": False, "reason": KEPT_WHOLE.format(0)}
            | {"workers_in": 0, "workers": 1, "recent": {"p50_ms": 9}},
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
    assert status["models"] == [
        {"name": "photos", "ready": False, "reason": None, "workers_in": 0, "workers": 1, "recent": None}
    ]
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
    assert status["models"] == [
        {"name": "photos", "ready": True, "reason": None, "workers_in": 1, "workers": 2, "recent": None}
    ]


def test_models_keep_a_workers_description_after_the_worker_is_gone() -> None:
    answer = {"state": "ready", "worker": "photos-0", "model": "photos", "model_info": {"name": "photos", "classes": 2}}
    ready = parse_readyz(A, 200, json.dumps(answer).encode(), AT)
    gone = Probe("unreachable", "refused", LATER)
    peers = {A: next_state(next_state(at(A.address, UNTESTED), ready), gone), C: at(C.address, OUT)}
    pools: Pools = {"photos": (A,), "other": (C,)}
    assert render_models(render_status(pools, peers, {}, AT), pools, peers) == {
        "models": [
            {"name": "photos", "ready": False, "workers_in": 0, "workers": 1, "classes": 2},
            {"name": "other", "ready": False, "workers_in": 0, "workers": 1},
        ]
    }

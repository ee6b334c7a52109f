"""Who is in rotation. What changes in the gate's own time is waited for by its condition."""

import json
from pathlib import Path

from tests.local.gateway.traffic import IMAGE, POOLS, Stream
from tests.local.gateway_harness import Gateway
from tests.wait import until


def test_draining_and_return_fail_no_request(own: Gateway) -> None:
    with Stream(own) as stream:
        stream.passes()
        own.workers["photos-0"].set(state="draining")
        until("it is out", lambda: own.states_in() == {"photos-1"})
        stream.only("photos-1")
        own.workers["photos-0"].close()
        stream.passes()
        own.restart_worker("photos-0")
        until("it is in again", lambda: own.states_in() == {"photos-0", "photos-1"})
        until("it answers again", lambda: len({reply.json["worker"] for reply in stream.replies[-20:]}) == 2)
    assert stream.faults == []
    assert {reply.status for reply in stream.replies} == {200}


def test_draining_is_seen_in_one_probe_and_failing_in_three(own: Gateway) -> None:
    own.workers["photos-0"].set(state="draining")
    until("photos-0 is out", lambda: own.states_in() == {"photos-1"})
    own.workers["photos-0"].set(state="ready")
    until("photos-0 is in", lambda: own.states_in() == {"photos-0", "photos-1"})
    own.workers["photos-1"].set(state="broken", reason="golden image 2 is wrong")
    until("photos-1 is out", lambda: own.states_in() == {"photos-0"})
    [broken] = [worker for worker in own.ask("GET", "/status").json["workers"] if not worker["in"]]
    assert (broken["state"], broken["reason"]) == ("broken", "golden image 2 is wrong")
    changes = [(line["worker"], line["from"], line["to"], line["reason"]) for line in own.gate_log("worker")]
    assert changes[2:] == [
        ("photos-0", "in, ready", "out, draining", None),
        ("photos-0", "out, draining", "out, ready", None),
        ("photos-0", "out, ready", "in, ready", None),
        ("photos-1", "in, ready", "in, broken", "golden image 2 is wrong"),
        ("photos-1", "in, broken", "out, broken", "golden image 2 is wrong"),
    ]


def test_when_all_are_out_the_whole_list_stays_and_ready_is_taken_back(own: Gateway) -> None:
    own.workers["photos-0"].set(state="broken")
    until("photos-0 is out", lambda: own.listed() == {"photos-1"})
    own.workers["photos-1"].set(state="broken")
    until("none is in", lambda: own.states_in() == set())
    until("all are listed", lambda: own.listed() == {"photos-0", "photos-1"})
    until("the whole list is in use", lambda: own.answered_by() == {"photos-0", "photos-1"})
    assert own.gate_log("pool_kept_whole")[-1]["model"] == "photos"
    assert (
        own.ask("GET", "/status").json["models"][0]["reason"].startswith("most of its workers failed, workers left: 0")
    )
    for path in ("/readyz", "/v2/health/ready"):
        reply = own.ask("GET", path)
        assert (reply.status, reply.error["code"], reply.all("Retry-After")) == (503, "not_ready", ["2"])
    own.workers["photos-0"].set(state="ready")
    until("photos-0 is in and alone", lambda: own.listed() == {"photos-0"})
    until("ready again", lambda: own.ask("GET", "/readyz").status == 200)


def test_the_gateway_is_ready_only_when_every_model_is(tmp_path: Path) -> None:
    with Gateway(tmp_path, POOLS) as own:
        own.workers["other-0"].set(state="starting")
        own.init()
        own.start_nginx()
        assert own.ask("GET", "/readyz").status == 503
        own.start_gate()
        until("photos is ready", lambda: own.ask("GET", "/status").json["models"][0]["workers_in"] == 2)
        assert own.ask("GET", "/readyz").status == 503
        assert [own.ask("GET", f"/readyz?model={model}").status for model in POOLS] == [200, 503]
        own.workers["other-0"].set(state="ready")
        until("all is ready", lambda: own.ask("GET", "/readyz").status == 200)


def test_a_model_that_is_added_counts_once_it_was_ready_and_until_then_takes_nothing_away(own: Gateway) -> None:
    added = own.add_worker("other-0", "other")
    added.set(state="starting")
    own.write_members()
    until("the gate asks it", lambda: "starting" in (own.home / "rendered/status.json").read_text())
    assert own.ask("GET", "/readyz").status == 200
    added.set(state="ready")
    until("it is in", lambda: own.states_in() == {"photos-0", "photos-1", "other-0"})
    assert own.ask("GET", "/readyz").status == 200
    added.set(state="draining")
    until("it is missed", lambda: own.ask("GET", "/readyz").status == 503)
    del own.pools["other"]
    own.write_members()
    until("it is expected no more", lambda: own.ask("GET", "/readyz").status == 200)


def test_unusable_members_are_refused_and_the_old_stay(own: Gateway) -> None:
    own.write_members_text('{"pools": []}')
    [refused] = until("the refusal", lambda: own.gate_log("members_refused"))
    assert refused["fault"] == "pools: needed a list with at least one entry"
    assert own.listed() == {"photos-0", "photos-1"}
    own.workers["photos-0"].set(state="draining")
    until("the old are still asked", lambda: own.states_in() == {"photos-1"})


def test_new_members_join_and_removed_ones_leave(own: Gateway) -> None:
    own.add_worker("photos-2", "photos")
    own.add_worker("other-0", "other")
    own.pools["photos"].remove("photos-0")
    own.write_members()
    until("all of the new list are in", lambda: own.states_in() == {"photos-1", "photos-2", "other-0"})
    assert own.listed() == {"photos-1", "photos-2", "other-0"}
    until("the new model is known", lambda: own.ask("POST", "/models/other").status == 200)
    until("its worker alone", lambda: own.answered_by("/models/photos") == {"photos-1", "photos-2"})


def name_hosts(gateway: Gateway, hosts: dict[str, str]) -> None:
    """Members again, `hosts` instead of 127.0.0.1 for the workers that it names."""
    members = json.loads((gateway.home / "rendered/members.json").read_text())
    for pool in members["pools"]:
        for member in pool["members"]:
            host, port = member["address"].split(":")
            member["address"] = f"{hosts.get(member['worker'], host)}:{port}"
    gateway.write_members_text(json.dumps(members))


def test_members_may_be_names_and_nginx_is_told_addresses(own: Gateway) -> None:
    name_hosts(own, {"photos-0": "localhost"})
    until("both are asked anew", lambda: len(own.gate_log("members")) == 2)
    until("both are in", lambda: own.states_in() == {"photos-0", "photos-1"})
    assert "server localhost" not in (own.home / "rendered/upstreams.conf").read_text()
    assert own.answered_by() == {"photos-0", "photos-1"}


def test_a_name_that_leads_nowhere_is_a_worker_that_does_not_answer(tmp_path: Path) -> None:
    with Gateway(tmp_path, POOLS) as own:
        good = (own.home / "rendered/members.json").read_text()
        name_hosts(own, {"photos-0": "not..a.name", "other-0": "not..a.name"})
        own.init()
        own.start_nginx()
        assert own.answered_by("/models/photos") == {"photos-1"}
        reply = own.ask("POST", "/models/other", IMAGE)
        assert (reply.status, reply.error["code"], reply.all("Retry-After")) == (503, "not_ready", ["2"])
        own.start_gate()
        until("the only one is in", lambda: own.states_in() == {"photos-1"})
        reasons = {worker["worker"]: worker["reason"] for worker in own.ask("GET", "/status").json["workers"]}
        assert reasons["other-0"].startswith("not..a.name has no address: ")
        assert own.ask("POST", "/models/other", IMAGE).status == 503
        own.write_members_text(good)
        until("all are in", lambda: own.states_in() == set(own.workers))
        until("the other model answers", lambda: own.ask("POST", "/models/other").status == 200)

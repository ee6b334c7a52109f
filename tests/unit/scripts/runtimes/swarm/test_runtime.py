"""The plan and the status that follow from the swarm's nodes and tasks, on recorded output of Docker 28."""

from dataclasses import replace
from typing import Any

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster, parse_cluster
from scripts.runtimes.swarm.deployment import chosen_nodes, gateways, plan
from scripts.runtimes.swarm.nodes import (
    Node,
    Service,
    Task,
    comparable,
    parse_node,
    parse_service,
    parse_task,
)
from scripts.runtimes.swarm.status import server_row, slot_faults, slot_rows, waiting_tasks

MODELS = '[[models]]\nname = "photos"\nfolder = "/srv/wanwu/models/photos"\n'
SERVERS = "".join(
    f'[[servers]]\nname = "{name}"\naddress = "10.0.0.{number}"\ngateway = {str(name != "c").lower()}\n'
    for number, name in enumerate("abc", 1)
)
CLUSTER = parse_cluster(MODELS + SERVERS, "c.toml")
NODE: dict[str, Any] = {
    "ID": "node-a",
    "Spec": {"Labels": {"wanwu.server": "a"}, "Role": "manager", "Availability": "active"},
    "Description": {
        "Hostname": "host-a",
        "Resources": {
            "NanoCPUs": 2000000000,
            "GenericResources": [
                {"NamedResourceSpec": {"Kind": "slot", "Value": "a-cpu10"}},
                {"NamedResourceSpec": {"Kind": "slot", "Value": "a-cpu2"}},
                {"NamedResourceSpec": {"Kind": "other", "Value": "x"}},
                {"DiscreteResourceSpec": {"Kind": "slot", "Value": 3}},
            ],
        },
    },
    "Status": {"State": "ready", "Addr": "10.0.0.1"},
}
A = Node("node-a", "host-a", "10.0.0.1", True, True, True, {"wanwu.server": "a"}, ("a-cpu2", "a-cpu10"))
B = Node("node-b", "b", "10.0.0.2", True, True, False, {}, ("b-cpu0",))
C = Node("node-c", "c", "10.0.0.3", True, True, False, {}, ("c-cpu0",))
PHOTOS = Service("service-1", "wanwu_photos", 4, {}, "image:1", "", "", "")
RUNNING = Task("task-1", "service-1", "node-b", 2, "b-cpu0", "running", "running", "started", {})
PENDING = Task("task-2", "service-1", "", 3, "", "pending", "running", "no suitable node (insufficient resources)", {})
READY: dict[str, Any] = {"worker": "photos-b-cpu0", "server": "b", "slot": "b-cpu0", "model": "photos", "in": True}


def node_faults(*nodes: Node) -> tuple[str, ...]:
    with pytest.raises(CommandError) as error:
        chosen_nodes(CLUSTER, CLUSTER.servers, nodes)
    return error.value.lines


def test_a_node_offers_its_named_slots_in_the_order_of_their_numbers() -> None:
    assert parse_node(NODE) == A
    bare = NODE | {"Description": {"Hostname": "host-a", "Resources": {"NanoCPUs": 1}}}
    assert parse_node(bare).slots == ()


def test_a_task_has_its_slot_and_the_reason_for_its_state() -> None:
    found = {
        "ID": "task-1",
        "ServiceID": "service-1",
        "NodeID": "node-b",
        "Slot": 2,
        "AssignedGenericResources": [{"NamedResourceSpec": {"Kind": "slot", "Value": "b-cpu0"}}],
        "Status": {"State": "failed", "Message": "started", "Err": "task: non-zero exit (78)"},
        "DesiredState": "shutdown",
        "Spec": {"ForceUpdate": 0, "Runtime": "container"},
        "CreatedAt": "t1",
    }
    ended = replace(RUNNING, state="failed", desired_state="shutdown", message="task: non-zero exit (78)")
    expected = replace(ended, spec={"ForceUpdate": 0}, created="t1")
    assert parse_task(found) == expected
    assert not expected.running
    assert RUNNING.running


def test_a_service_has_its_replicas_and_its_last_update() -> None:
    template = {"ContainerSpec": {"Image": "image:1", "DNSConfig": {}}, "Runtime": "container"}
    found: dict[str, Any] = {
        "ID": "service-1",
        "Spec": {"Name": "wanwu_photos", "TaskTemplate": template, "Mode": {"Replicated": {"Replicas": 4}}},
        "UpdateStatus": {"State": "completed", "StartedAt": "t1", "Message": "update completed"},
        "UpdatedAt": "t2",
    }
    spec = {"ContainerSpec": {"Image": "image:1"}}
    assert parse_service(found) == Service(
        "service-1", "wanwu_photos", 4, spec, "image:1", "completed", "t1", "update completed", "t2"
    )
    everywhere = {**found["Spec"], "Mode": {"Global": {}}}
    assert parse_service(found | {"Spec": everywhere}).replicas is None


def test_a_service_is_revertible_if_it_was_another_before_its_last_update() -> None:
    def service(image: str, replicas: int = 4, restarts: int = 0) -> dict[str, Any]:
        template = {"ContainerSpec": {"Image": image}, "ForceUpdate": restarts}
        return {"Name": "wanwu_photos", "TaskTemplate": template, "Mode": {"Replicated": {"Replicas": replicas}}}

    def is_revertible(**previous: Any) -> bool:
        return parse_service({"ID": "service-1", "Spec": service("image:1"), **previous}).revertible

    assert is_revertible(PreviousSpec=service("image:0"))
    assert is_revertible(PreviousSpec=service("image:0", replicas=2))
    assert not is_revertible()  # after its first start
    assert not is_revertible(PreviousSpec=service("image:1", replicas=2))  # after `make drain`
    assert not is_revertible(PreviousSpec=service("image:1"))  # after a second `make up`
    assert not is_revertible(PreviousSpec=service("image:1", restarts=1))  # after `make rollout`


def test_defaults_that_only_a_service_states_make_no_difference() -> None:
    long: dict[str, Any] = {
        "Image": "i",
        "DNSConfig": {},
        "Hosts": None,
        "Mounts": [],
        "Runtime": "container",
        "ForceUpdate": 0,
    }
    assert comparable({"ContainerSpec": long}) == comparable({"ContainerSpec": {"Image": "i", "ForceUpdate": 0}})
    assert comparable({"ForceUpdate": 1}) != comparable({"ForceUpdate": 0})


def test_a_server_is_the_node_with_its_label_or_its_host_name() -> None:
    assert chosen_nodes(CLUSTER, CLUSTER.servers, [C, B, A]) == {"a": A, "b": B, "c": C}
    assert list(chosen_nodes(CLUSTER, CLUSTER.servers[:1], [A])) == ["a"]


def test_every_server_that_cannot_serve_is_named_with_the_remedy() -> None:
    assert node_faults(A, replace(B, ready=False)) == (
        'c.toml: servers/1/name: found "b", which does not answer, needed a running server: start it, or run '
        "`make drain SERVER=b` and remove it from the file",
        'c.toml: servers/2/name: found "c", which is not a node of the swarm, needed one of host-a, b: '
        "run scripts/init-server.sh there",
    )
    assert node_faults(A, replace(B, slots=()), replace(C, slots=("c-cpu0", "x-cpu0"))) == (
        'c.toml: servers/1/name: found "b", whose engine offers no resource "slot", needed one for each worker: '
        "run scripts/init-server.sh there",
        'c.toml: servers/2/name: found "c", which offers x-cpu0, needed slots named after it: '
        "run scripts/init-server.sh there",
    )


def with_keys(server: str, lines: str) -> Cluster:
    return parse_cluster(MODELS + SERVERS.replace(f'name = "{server}"\n', f'name = "{server}"\n{lines}\n'), "c.toml")


def test_keys_that_differ_from_those_of_the_slots_are_refused_one_by_one() -> None:
    cluster = with_keys("b", 'gpus = "none"\nworkers = 1')
    remedy = (
        "as when b was initialised, which fixes a server's slots under Docker Swarm: write that value, or initialise "
        "the server again with this file: `make init`, or scripts/init-server.sh --cluster there"
    )
    with pytest.raises(CommandError) as error:
        chosen_nodes(cluster, cluster.servers, [A, replace(B, slot_keys={"workers": 2, "cpus": "0-1"}), C])
    assert error.value.lines == (
        f'c.toml: servers/1/cpus: found "auto", needed "0-1", {remedy}',
        f'c.toml: servers/1/gpus: found "none", needed "auto", {remedy}',
        f"c.toml: servers/1/workers: found 1, needed 2, {remedy}",
    )


def test_keys_that_match_those_of_the_slots_are_accepted() -> None:
    cluster = with_keys("b", 'cpus = "0,1"\nworkers = 1')
    configured = replace(B, slot_keys={"workers": 1, "cpus": "0-1"})
    assert chosen_nodes(cluster, cluster.servers, [A, configured, C])["b"] == configured


@pytest.mark.parametrize("label", ["of a person", "[]", "7"])
def test_a_node_has_the_keys_that_its_slots_were_created_from(label: str) -> None:
    def labelled(text: str) -> dict[str, Any]:
        return NODE | {"Description": NODE["Description"] | {"Engine": {"Labels": {"wanwu.slots": text}}}}

    assert parse_node(labelled('{"workers": 2}')) == replace(A, slot_keys={"workers": 2})
    assert parse_node(labelled(label)) == A


def test_every_slot_gets_a_worker_and_the_models_their_shares() -> None:
    two = parse_cluster(f'{MODELS}[[models]]\nname = "wide"\nfolder = "/w"\nshare = 3\n{SERVERS}', "c.toml")
    planned = plan(two, {"a": A, "b": B, "c": C})
    assert [worker.slot.name for worker in planned.workers] == ["a-cpu2", "a-cpu10", "b-cpu0", "c-cpu0"]
    assert sorted(worker.model for worker in planned.workers) == ["photos", "wide", "wide", "wide"]


def test_more_models_than_slots_are_refused() -> None:
    two = parse_cluster(f'{MODELS}[[models]]\nname = "wide"\nfolder = "/w"\n{SERVERS}', "c.toml")
    with pytest.raises(CommandError) as error:
        plan(two, {"b": B})
    assert error.value.lines[0].startswith("c.toml: models: found 2 models for 1 slot, needed a slot for each")


def test_the_file_says_which_servers_have_gateways() -> None:
    assert gateways(CLUSTER) == {"a": "http://10.0.0.1:8080", "b": "http://10.0.0.2:8080"}


def test_status_has_a_row_for_every_slot_filled_or_not() -> None:
    rows = slot_rows([B, C], [PHOTOS], [RUNNING, PENDING], [READY])
    assert rows == [
        {**READY, "task": "photos.2", "task state": "running"},
        {"server": "c", "slot": "c-cpu0", "in": False},
    ]
    assert slot_faults(rows) == ["slots without a task: c-cpu0; see `make logs`"]
    assert slot_faults([row | {"in": False} for row in rows]) == [
        "out of rotation: b-cpu0; see `make logs`",
        "slots without a task: c-cpu0; see `make logs`",
    ]
    assert waiting_tasks([PHOTOS], [RUNNING, PENDING]) == [
        "wanwu_photos: tasks waiting for a slot: 1 (no suitable node (insufficient resources))"
    ]


def test_status_has_a_row_for_every_server() -> None:
    reports: dict[str, object] = {"a": [], "b": None}
    assert server_row(A, [RUNNING], reports) == ["a", "ready", "yes", "yes", "2", "0", "answers"]
    assert server_row(B, [RUNNING], reports) == ["b", "ready", "yes", "no", "1", "1", "silent"]
    down = replace(C, ready=False, active=False)
    assert server_row(down, [RUNNING], reports) == ["c", "down", "no", "no", "1", "0", "-"]

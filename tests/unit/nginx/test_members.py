"""members.json: the workers that the gate probes."""

import json
from dataclasses import replace
from typing import Any

import pytest

from nginx.gate.members import DiscoveredPool, MembersError, parse_members
from tests.unit.nginx.peers import DISCOVERED, A, C

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
        ('{"pools": [], "x": 1}', "found keys pools, x, needed pools, and none but rendered, schema, gateway, pools"),
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

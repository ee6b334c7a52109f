"""The roster: what it makes of members, names and probes."""

from nginx.gate.members import DeclaredPools, DiscoveredPool, Member
from nginx.gate.observed import Observed
from nginx.gate.roster import Roster
from nginx.gate.rules import FAILURES_TO_LEAVE, SUCCESSES_TO_ENTER, Probe
from tests.unit.nginx.peers import AT, LISTED, A, B

NAMED = DiscoveredPool("cats", "cats:8081")
HUNG = Probe("unreachable", "timed out", AT, address=A.address)


def ready(member: Member, address: str = "") -> Probe:
    return Probe("ready", None, AT, address=address or member.address)


def test_only_a_worker_in_rotation_that_is_still_ready_is_no_news() -> None:
    roster = Roster({A.worker: A.address}, Observed())
    roster.declare({A.model: (A, B)}, {})
    assert not roster.is_usual(A, ready(A)), "nobody has probed it yet"
    roster.record(A, ready(A))
    assert roster.is_usual(A, ready(A))
    assert not roster.is_usual(A, ready(A, B.address))
    for _ in range(SUCCESSES_TO_ENTER):
        assert not roster.is_usual(B, ready(B))
        roster.record(B, ready(B))
    assert roster.is_usual(B, ready(B))
    assert roster.select() == {A.model: LISTED}
    for _ in range(FAILURES_TO_LEAVE):
        assert not roster.is_usual(A, HUNG)
        roster.record(A, HUNG)
    assert not roster.is_usual(A, ready(A))
    assert (roster.listable(A.address), roster.listable(B.address)) == (None, B)
    assert (roster.other_address(A), roster.other_address(B)) == (B.address, None)


def test_a_named_pool_has_its_former_servers_until_its_name_is_resolved() -> None:
    roster, declared = Roster({}, Observed()), DeclaredPools({"cats": NAMED})
    roster.declare(declared, {"cats": {"cats-1": "10.0.0.1:8081"}})
    assert [member.address for member in roster.pools["cats"]] == ["10.0.0.1:8081"]
    assert not roster.discover(declared, NAMED, roster.pools["cats"])
    assert roster.discover(declared, NAMED, NAMED.members(["10.0.0.3:8081", "10.0.0.2:8081"]))
    assert [member.address for member in roster.pools["cats"]] == ["10.0.0.2:8081", "10.0.0.3:8081"]
    assert set(roster.peers) == set(roster.pools["cats"])

"""Peers and members that the tests of the gate's rules share."""

from dataclasses import replace

from nginx.gate.members import Member
from nginx.gate.rules import Peer, Probe, next_state

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

"""The gate's rules: what a probe says of a worker, and which workers are in rotation. All pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .members import Member
from .rates import Totals, parse_totals
from .reasons import Reason

FAILURES_TO_LEAVE = 3
SUCCESSES_TO_ENTER = 2

STATES = ("starting", "ready", "draining", "broken")
SLOT_FACTS = ("cpus", "gpu")  # which stay while a worker does not answer
FACTS = (*SLOT_FACTS, "version", "engine", "precision", "in_flight", "queued")

Servers = Mapping[str, str]  # by worker, the ip:port for Nginx


@dataclass(frozen=True)
class Probe:
    """The result of one probe: the state the worker reported, or `unreachable`. `at` is ISO 8601, UTC.

    `address` is the probed ip:port, None if the member's name did not resolve. `identity` holds the worker and slot
    names that a discovered worker reported.
    """

    state: str
    reason: str | None
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None
    identity: Mapping[str, str] = field(default_factory=dict)
    model_info: Mapping[str, Any] | None = None
    totals: Totals | None = None


@dataclass(frozen=True)
class Peer:
    """The gate's view of a member. `untested`: the previous gate listed it, and this one has not probed it yet.

    `address` is the ip:port that its name resolved to last, None if it never resolved. It is `ejected` (outliers.py)
    until the monotonic time `ejected_until`, in seconds, for the time number `ejections`. It has `failed` if failures
    put it out of rotation, until it says that it drains or starts: then it is out for a reason of its own.
    """

    rotation: Literal["untested", "in", "out", "ejected"]
    since: str
    state: str = "unreachable"
    reason: str | None = Reason.NOT_PROBED
    facts: Mapping[str, Any] = field(default_factory=dict)
    failures: int = 0
    successes: int = 0
    address: str | None = None
    identity: Mapping[str, str] = field(default_factory=dict)
    model_info: Mapping[str, Any] | None = None  # the last description of its model
    totals: Totals | None = None  # the last that it reported
    ejections: int = 0
    ejected_until: float = 0.0
    failed: bool = False

    @property
    def listable(self) -> bool:
        return self.rotation in ("untested", "in")

    @property
    def probed(self) -> bool:
        return self.failures + self.successes > 0

    def name(self, member: Member) -> str:
        """Return the worker's name: a discovered one has told its own."""
        return self.identity.get("worker", member.worker)


def parse_readyz(member: Member, status: int, body: bytes, at: str) -> Probe:
    """Return the probe for an answer of /readyz; `unreachable` unless it comes from the expected worker and model."""
    try:
        answer = json.loads(body, parse_constant=lambda _: None)  # NaN would make the status no JSON
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or answer.get("state") not in STATES:
        return Probe("unreachable", Reason.NO_STATE.format(status=status), at)
    worker, model = answer.get("worker"), answer.get("model")
    if model != member.model or (worker != member.worker and not member.discovered):
        other = Reason.OTHER_WORKER.format(address=member.address, worker=worker, model=model)
        return Probe("unreachable", other, at)
    if (answer["state"] == "ready") != (status == 200):
        return Probe("unreachable", Reason.CONTRADICTION.format(status=status, state=answer["state"]), at)
    identity = {name: str(answer.get(name)) for name in ("worker", "slot")} if member.discovered else {}
    facts, info = {name: answer.get(name) for name in FACTS}, answer.get("model_info")
    model_info = info if isinstance(info, dict) else None
    totals = parse_totals(answer.get("answered"))
    return Probe(answer["state"], answer.get("reason"), at, facts, None, identity, model_info, totals)


def next_state(peer: Peer, probe: Probe) -> Peer:
    """Return the peer after one more probe.

    It leaves after FAILURES_TO_LEAVE failures in a row, or at once when draining, and enters after
    SUCCESSES_TO_ENTER successes in a row; an untested one after its first. An ejected one whose probes fail is
    merely out: when they succeed again, it is another process.
    """
    ready = probe.state == "ready"
    successes = peer.successes + 1 if ready else 0
    failures = 0 if ready else peer.failures + 1
    rotation = peer.rotation
    if probe.state == "draining" or failures >= FAILURES_TO_LEAVE:
        rotation = "out"
    if rotation == "out" and peer.listable:
        failed = probe.state not in ("draining", "starting")
    elif probe.state in ("draining", "starting"):
        failed = False
    else:
        failed = peer.failed
    if ready and (rotation == "untested" or (rotation == "out" and successes >= SUCCESSES_TO_ENTER)):
        rotation, failed = "in", False
    changed = (rotation, probe.state) != (peer.rotation, peer.state)
    return replace(
        peer,
        rotation=rotation,
        since=probe.at if changed else peer.since,
        state=probe.state,
        reason=probe.reason,
        facts=probe.facts or {name: peer.facts[name] for name in SLOT_FACTS if name in peer.facts},
        failures=failures,
        successes=successes,
        failed=failed,
        address=probe.address or peer.address,
        identity=probe.identity or peer.identity,
        model_info=probe.model_info or peer.model_info,
        totals=probe.totals or peer.totals,
    )


def is_kept_whole(members: Sequence[Member], peers: Mapping[Member, Peer]) -> bool:
    """Return whether fewer than half of a pool's workers are left in rotation because the others failed.

    Envoy has the same threshold (healthy_panic_threshold, 50%). A worker that drains, starts or was never in rotation
    has not failed.
    """
    left = sum(peers[member].listable for member in members)
    return left < sum(peers[member].failed for member in members)


def select_servers(members: Sequence[Member], peers: Mapping[Member, Peer], last: Iterable[str]) -> Servers:
    """Return the servers to list for a pool: its workers in rotation; if there are none, the workers listed `last`.

    The whole pool stays, but for ejected workers, while most of it has failed: then the fault may be the gate's own.
    A worker is never listed at an address where another one answers: a container may get the address of a dead one.
    """
    answering = {peer.address for peer in peers.values() if peer.state != "unreachable"}
    addresses = {
        member: address
        for member in members
        if (address := peers[member].address) and (peers[member].state != "unreachable" or address not in answering)
    }
    listed_last = set(last)
    whole = is_kept_whole(members, peers)
    selected = (
        [member for member in addresses if peers[member].listable or (whole and peers[member].failed)]
        or [member for member in addresses if member.worker in listed_last]
        or addresses
    )
    return {member.worker: addresses[member] for member in selected}

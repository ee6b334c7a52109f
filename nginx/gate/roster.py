"""The members that should exist, and who of them is in rotation by what probes and Nginx's answers say."""

import time
from collections.abc import Mapping
from dataclasses import replace

from .members import DeclaredPools, DiscoveredPool, Member, Pools
from .observed import Observed
from .out import log, now
from .outliers import eject, release
from .rates import Rate
from .rules import Peer, Probe, Servers, next_state, select_servers


class Roster:
    """The peer of every member; its list for Nginx is `stale` until it is rendered anew."""

    def __init__(self, last_listed: Servers, observed: Observed) -> None:
        self._observed = observed
        self.pools: Pools = {}
        self.discovered: dict[DiscoveredPool, tuple[Member, ...]] = {}
        self.peers: dict[Member, Peer] = {}
        self.rates: dict[str, Rate] = {}  # by model
        self.last_listed = last_listed
        self.stale = True
        self.moved = False  # a worker's rotation or state has changed, which the status should tell soon

    def declare(self, declared: DeclaredPools, listed: Mapping[str, Servers]) -> None:
        """Follow the pools that are `declared`; until its name is resolved, a new one has its servers in `listed`."""
        pools = {pool for pool in declared.values() if isinstance(pool, DiscoveredPool)}
        for pool in self.discovered.keys() - pools:
            del self.discovered[pool]
        for pool in pools - self.discovered.keys():
            self.discovered[pool] = pool.members(listed.get(pool.model, {}).values())
        self._follow(declared)

    def discover(self, declared: DeclaredPools, pool: DiscoveredPool, members: tuple[Member, ...]) -> bool:
        """Note what the name of `pool` resolves to; return whether it is something else than before."""
        if self.discovered.get(pool, members) == members:
            return False
        self.discovered[pool] = members
        self._follow(declared)
        return True

    def record(self, member: Member, probe: Probe) -> None:
        """Note the result of a probe."""
        before = self.peers.get(member)
        if before is None:
            return
        after = self.peers[member] = next_state(release(before, time.monotonic()), probe)
        if before.totals and after.totals:
            self.rates[member.model].add(after.totals.since(before.totals), time.monotonic())
        if after.address != before.address:
            self.stale = True
        if after.state == "broken" != before.state:
            self._observed.count("broken_total", member.model, after.name(member))
        self._log_change(member, before, after)

    def is_usual(self, member: Member, probe: Probe) -> bool:
        """Return whether nobody waits for this result: a worker in rotation is still ready. Any thread may ask."""
        peer = self.peers.get(member)
        usual = ("in", "ready", "ready", probe.address)
        return peer is not None and (peer.rotation, peer.state, probe.state, peer.address) == usual

    def eject(self, member: Member, fault: str, seconds: float) -> None:
        """Note that `member` fails on what other workers answer."""
        before = self.peers[member]
        after = self.peers[member] = eject(before, now(), time.monotonic(), seconds)
        self._observed.count("ejections_total", member.model, before.name(member))
        self._log_change(member, before, replace(after, reason=fault))

    def listable(self, address: str) -> Member | None:
        """Return the member in rotation at `address`, None if there is none."""
        found = (member for member, peer in self.peers.items() if peer.address == address and peer.listable)
        return next(found, None)

    def other_address(self, member: Member) -> str | None:
        """Return the address of another worker in rotation of the same pool, None if there is none."""
        others = [self.peers[other] for other in self.pools.get(member.model, ()) if other != member]
        return next((peer.address for peer in others if peer.rotation == "in" and peer.address), None)

    def select(self) -> dict[str, Servers]:
        """Return the servers to list for each pool."""
        listed = {model: select_servers(members, self.peers, self.last_listed) for model, members in self.pools.items()}
        self.last_listed = {worker: address for servers in listed.values() for worker, address in servers.items()}
        return listed

    def _follow(self, declared: DeclaredPools) -> None:
        self.pools = {
            model: self.discovered[pool] if isinstance(pool, DiscoveredPool) else pool
            for model, pool in declared.items()
        }
        all_members = {member for members in self.pools.values() for member in members}
        for member in self.peers.keys() - all_members:
            del self.peers[member]
        for member in all_members - self.peers.keys():
            address = self.last_listed.get(member.worker)
            self.peers[member] = Peer("untested" if address else "out", now(), address=address)
        self.rates = {model: self.rates.get(model, Rate()) for model in self.pools}
        self.stale = True
        log("members", models={model: len(members) for model, members in self.pools.items()})

    def _log_change(self, member: Member, before: Peer, after: Peer) -> None:
        if (before.rotation, before.state) != (after.rotation, after.state):
            change = {"from": f"{before.rotation}, {before.state}", "to": f"{after.rotation}, {after.state}"}
            log("worker", worker=after.name(member), **change, reason=after.reason)
            self.stale = self.moved = True

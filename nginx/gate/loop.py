"""The gate's main loop: one thread probes all members, and the main thread alone changes state."""

import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from .access import loaded_keys, views
from .answers import Answers, Listed
from .clock import Clock
from .configuration import Configuration
from .endpoint import Endpoint
from .freshness import beat
from .members import DiscoveredPool, Member, Pools
from .observed import Observed, disk
from .out import Nginx, log, now, read_models, write_models, write_status, write_target
from .outliers import eject, most_ejected, release
from .probe import try_golden_image
from .rates import Rate
from .rules import Peer, Probe, is_kept_whole, next_state, select_servers
from .schedule import Schedule
from .status import render_models, render_status
from .upstreams import listed_pools, listed_servers, render_upstreams

BATCH_S = 0.02  # events that come within this time are applied together
READ_GAP_S = 0.5  # at most, between two looks at members.json and keys.json: a revoked key must not live on
STATUS_S = 1.0  # between two writes of the status, at most, and between two heartbeats
STATUS_GAP_S = 0.1  # between two writes of the status, at least, however many workers change


class Gate:
    """Keep Nginx's list and the status to what the schedule's probes and Nginx's answers say of the members."""

    def __init__(self, members_file: Path, out: Path, nginx: Nginx, interval: float, ejection_s: float) -> None:
        self.configuration = Configuration(members_file, out.parent)
        self.out = out
        self.nginx = nginx
        self.interval = interval
        self.ejection_s = ejection_s
        self.events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.observed = Observed()
        self.endpoint = Endpoint(self.observed.text)
        self.metrics_at = ""  # where Nginx asks for them
        self.answers = Answers(
            out,
            lambda address: self.events.put(partial(self._try, address)),
            lambda: self.events.put(self._end_slow_bodies),
            self.observed.count_exchange,
        )
        self.schedule = Schedule(
            interval,
            lambda member, probe: self.events.put(partial(self._record_probe, member, probe)),
            lambda pool, addresses: self.events.put(partial(self._record_discovery, pool, pool.members(addresses))),
            self.observed.collect,
            self.observed.is_asked,
        )
        self.clock = Clock()
        self.output_fault = ""  # what was wrong with the files that were written last
        self.kept_whole: frozenset[str] = frozenset()  # models
        self.known_keys: list[str] | None = None  # the ids of those by which Nginx judges requests
        self.models = read_models(out)
        self.pools: Pools = {}
        self.discovered: dict[DiscoveredPool, tuple[Member, ...]] = {}
        self.required_models: set[str] = set()  # ready.json exists only while all of these are ready
        self.peers: dict[Member, Peer] = {}
        self.rates: dict[str, Rate] = {}  # by model
        self.last_listed = listed_servers(nginx.file.read_text())
        self.upstreams: str | None = None  # the text for Nginx; None if it has to be rendered anew
        self.loaded = listed_pools(nginx.file.read_text())
        self.reachable = set(self.last_listed)  # workers that Nginx may still send requests to
        self.members_due = self.status_due = self.status_written_at = 0.0

    def run(self) -> None:
        """Apply events and publish the result until an event is None."""
        self.answers.start()
        self.schedule.start()
        self.metrics_at = self.schedule.submit(self.endpoint.open_own()).result()
        write_target(self.out, self.metrics_at)
        while True:
            beat(self.out)
            self._reload_members()
            try:
                waiting = [self.events.get(timeout=self._until_due_s())]
                time.sleep(BATCH_S)
                while not self.events.empty():
                    waiting.append(self.events.get())
            except queue.Empty:
                waiting = []
            for apply_event in waiting:
                if apply_event is None:
                    return
                apply_event()
            try:
                self._publish()
                self.output_fault = ""
            except OSError as error:  # such as a full disk; Nginx does not serve the old status for long
                if str(error) != self.output_fault:
                    self.output_fault = str(error)
                    log("output_failed", fault=str(error))

    def _until_due_s(self) -> float:
        """Return the seconds until there is something to do without an event: at most an interval, never 0."""
        return min(max(self.status_due - time.monotonic(), STATUS_GAP_S), self.interval, READ_GAP_S, STATUS_S)

    def _reload_members(self) -> None:
        if time.monotonic() < self.members_due:
            return
        self.members_due = time.monotonic() + min(self.interval, READ_GAP_S)
        before = self.configuration.declared
        if not self.configuration.read():
            return
        self.upstreams = None
        write_models(self.out, self.models, views(self.configuration.keys))  # before Nginx leads a new key to its list
        declared = self.configuration.declared
        if declared is not before:
            self.required_models = self.required_models & declared.keys() if before else set(declared)
            self._update_pools()

    def _update_pools(self) -> None:
        pools = {pool for pool in self.configuration.declared.values() if isinstance(pool, DiscoveredPool)}
        for pool in self.discovered.keys() - pools:
            del self.discovered[pool]
        listed = listed_pools(self.nginx.file.read_text())
        for pool in pools - self.discovered.keys():
            # Until the name is resolved, start from the servers that the previous gate listed.
            self.discovered[pool] = pool.members(listed.get(pool.model, {}).values())
        self._update_peers()

    def _update_peers(self) -> None:
        self.pools = {
            model: self.discovered[pool] if isinstance(pool, DiscoveredPool) else pool
            for model, pool in self.configuration.declared.items()
        }
        all_members = {member for members in self.pools.values() for member in members}
        for member in self.peers.keys() - all_members:
            del self.peers[member]
        for member in all_members - self.peers.keys():
            address = self.last_listed.get(member.worker)
            self.peers[member] = Peer("untested" if address else "out", now(), address=address)
        self.rates = {model: self.rates.get(model, Rate()) for model in self.pools}
        self.schedule.follow([*self.discovered, *self.peers])
        self.upstreams = None
        log("members", models={model: len(members) for model, members in self.pools.items()})

    def _record_discovery(self, pool: DiscoveredPool, members: tuple[Member, ...]) -> None:
        if self.discovered.get(pool, members) != members:
            self.discovered[pool] = members
            self._update_peers()

    def _record_probe(self, member: Member, probe: Probe) -> None:
        before = self.peers.get(member)
        if before is None:
            return
        after = self.peers[member] = next_state(release(before, time.monotonic()), probe)
        if before.totals and after.totals:
            self.rates[member.model].add(after.totals.since(before.totals), time.monotonic())
        if after.address != before.address:
            self.upstreams = None
        if after.state == "broken" != before.state:
            self.observed.count("broken_total", member.model, after.name(member))
        self._log_change(member, before, after)

    def _try(self, address: str) -> None:
        """Have an outlier classify a golden image; Nginx bypasses it meanwhile."""
        member = self._listable(address)
        if member is None:  # it is out already, or Nginx lists it only because all others are out, too
            self.answers.acquit(address)
            return
        others = [self.peers[other] for other in self.pools.get(member.model, ()) if other != member]
        helper = next((peer.address for peer in others if peer.rotation == "in" and peer.address), address)

        async def trial() -> None:
            fault = await try_golden_image(address, helper)
            self.events.put(partial(self._judge, address, fault))

        self.schedule.submit(trial())

    def _end_slow_bodies(self) -> None:
        """Reload Nginx, whose old processes then end every request that takes longer than worker_shutdown_timeout.

        Nginx itself has no limit of the whole time of a body, so slow ones could keep their places for ever.
        """
        log("bodies_full")
        self.nginx.loaded = None

    def _judge(self, address: str, fault: str | None) -> None:
        member = self._listable(address)
        if member:
            name = member.model, self.peers[member].name(member)
            self.observed.count("golden_trials_total", *name, "failed" if fault else "passed")
        if member and fault:
            before = self.peers[member]
            after = self.peers[member] = eject(before, now(), time.monotonic(), self.ejection_s)
            self.observed.count("ejections_total", *name)
            self._log_change(member, before, replace(after, reason=fault))
        else:
            self.answers.acquit(address)
            log("acquitted", address=address)

    def _listable(self, address: str) -> Member | None:
        found = (member for member, peer in self.peers.items() if peer.address == address and peer.listable)
        return next(found, None)

    def _log_change(self, member: Member, before: Peer, after: Peer) -> None:
        if (before.rotation, before.state) != (after.rotation, after.state):
            change = {"from": f"{before.rotation}, {before.state}", "to": f"{after.rotation}, {after.state}"}
            log("worker", worker=after.name(member), **change, reason=after.reason)
            self.status_due = self.status_written_at + STATUS_GAP_S
            self.upstreams = None

    def _publish(self) -> None:
        if not self.pools:
            return
        if self.upstreams is None:
            self._note_whole_pools()
            listed = {
                model: select_servers(members, self.peers, self.last_listed) for model, members in self.pools.items()
            }
            self.last_listed = {worker: address for servers in listed.values() for worker, address in servers.items()}
            failing = {member.worker for member, peer in self.peers.items() if not peer.listable}
            self.upstreams = render_upstreams(
                listed,
                self.answers.log_target,
                self.configuration.options,
                self.configuration.keys,
                failing,
                self.configuration.certificate,
                self.metrics_at,
            )
            self._follow_answers()
        if self.clock.was_set_back():  # Nginx would leave out for as long each worker that has just failed
            log("clock_set_back")
            self.nginx.loaded = None
        if self.nginx.apply(self.upstreams):
            if self.nginx.refused:
                self.observed.count("lists_refused_total")
            self.loaded = listed_pools(self.nginx.file.read_text())
            self._follow_answers()
        self.reachable |= self.last_listed.keys()
        if self.nginx.settled:
            self.reachable = {worker for servers in self.loaded.values() for worker in servers}
            self.answers.end_bypasses()
        # Not before every worker was probed: until then the previous gate's status is the better one.
        if time.monotonic() >= self.status_due and all(peer.probed for peer in self.peers.values()):
            self._write_status()

    def _write_status(self) -> None:
        self.status_written_at = time.monotonic()
        self.nginx.reopen_large_logs()
        self.status_due = self.status_written_at + min(self.interval, STATUS_S)
        loaded = {worker: address for servers in self.loaded.values() for worker, address in servers.items()}
        rates = {model: rate.describe(time.monotonic()) for model, rate in self.rates.items()}
        status = render_status(self.pools, self.peers, loaded, now(), rates)
        self.required_models |= {model["name"] for model in status["models"] if model["ready"]}
        if self.nginx.settled:
            self.known_keys = loaded_keys(self.nginx.file.read_text())
        if self.known_keys is not None:
            status["keys"] = self.known_keys
        members = {member.worker for pool in self.pools.values() for member in pool}
        status["leaving"] = sorted(self.reachable - members)
        self.models = render_models(status, self.pools, self.peers)
        write_models(self.out, self.models, views(self.configuration.keys))
        write_status(self.out, status, self.required_models)
        self._publish_metrics(status)

    def _publish_metrics(self, status: Mapping[str, Any]) -> None:
        self.schedule.submit(self.endpoint.follow(self.configuration.options.metrics.listen))
        self.observed.follow({member: (peer.address or "", peer.name(member)) for member, peer in self.peers.items()})
        values = {
            "list_timestamp_seconds": self.nginx.loaded_at or None,
            "list_refused": float(self.nginx.refused),
            "members_refused": float(bool(self.configuration.fault)),
            "certificate_end_timestamp_seconds": self.configuration.certificate_end,
            "target_seconds": self.configuration.options.metrics.target_ms / 1000,
            **disk(self.configuration.members_file),
        }
        self.observed.publish(status, values)

    def _note_whole_pools(self) -> None:
        """Log each pool of which so many workers fail together that Nginx keeps them all, and the end of that."""
        whole = {model for model, members in self.pools.items() if is_kept_whole(members, self.peers)}
        for model in whole ^ self.kept_whole:
            log("pool_kept_whole" if model in whole else "pool_kept_whole_no_more", model=model)
        self.kept_whole = frozenset(whole)

    def _follow_answers(self) -> None:
        ejected = {member for member, peer in self.peers.items() if peer.rotation == "ejected"}
        pools = {}
        for model, servers in self.loaded.items():
            members = self.pools.get(model, ())
            ejectable = most_ejected(len(members)) - len(ejected.intersection(members))
            pools[model] = Listed(model, tuple(servers.values()), ejectable)
        self.answers.follow(pools)

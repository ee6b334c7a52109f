"""The gate's main loop: a thread for every member probes it, and the main thread alone changes state."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from .answers import Answers, Listed
from .members import DeclaredPools, DiscoveredPool, Member, Pools, parse_members
from .options import Options, parse_options
from .out import Nginx, log, now, write_status
from .outliers import eject, most_ejected, release
from .probe import probe_worker, resolve_all, try_golden_image
from .rules import (
    Peer,
    Probe,
    listed_pools,
    listed_servers,
    next_state,
    render_models,
    render_status,
    render_upstreams,
    select_servers,
)


class Gate:
    """Probe every member and resolve every discovered pool, each in its own thread: a hung one delays no other."""

    def __init__(self, members_file: Path, out: Path, nginx: Nginx, interval: float, ejection_s: float) -> None:
        self.members_file = members_file
        self.out = out
        self.nginx = nginx
        self.interval = interval
        self.ejection_s = ejection_s
        self.answers = Answers(out, lambda address: self.events.put(partial(self._try, address)))
        self.events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.members_text = self.members_fault = ""
        self.declared: DeclaredPools = {}
        self.options = Options()
        self.pools: Pools = {}
        self.discovered: dict[DiscoveredPool, tuple[Member, ...]] = {}
        self.required_models: set[str] = set()  # ready.json exists only while all of these are ready
        self.peers: dict[Member, Peer] = {}
        self.stop_events: dict[Member | DiscoveredPool, threading.Event] = {}
        self.last_listed = listed_servers(nginx.file.read_text())
        self.status_due = 0.0

    def run(self) -> None:
        """Apply events and publish the result until an event is None."""
        self.answers.start()
        while True:
            self._reload_members()
            try:
                waiting = [self.events.get(timeout=self.interval)]
                while not self.events.empty():
                    waiting.append(self.events.get())
            except queue.Empty:
                waiting = []
            for apply_event in waiting:
                if apply_event is None:
                    return
                apply_event()
            self._publish()

    def _reload_members(self) -> None:
        try:
            text = self.members_file.read_text()
            if text == self.members_text:
                return
            self.members_text = text
            declared, options = parse_members(text), parse_options(text)
        except (OSError, ValueError) as error:
            if str(error) != self.members_fault:
                self.members_fault = str(error)
                log("members_refused", fault=str(error), file=str(self.members_file))
            return
        self.members_fault, self.options = "", options
        self.required_models = self.required_models & declared.keys() if self.declared else set(declared)
        self._update_pools(declared)

    def _update_pools(self, declared: DeclaredPools) -> None:
        self.declared = declared
        pools = {pool for pool in declared.values() if isinstance(pool, DiscoveredPool)}
        for pool in self.discovered.keys() - pools:
            del self.discovered[pool]
            self.stop_events.pop(pool).set()
        listed = listed_pools(self.nginx.file.read_text())
        for pool in pools - self.discovered.keys():
            # Until the name is resolved, start from the servers that the previous gate listed.
            self.discovered[pool] = pool.members(listed.get(pool.model, {}).values())
            self._start_polling(pool, partial(self._resolve_pool, pool))
        self._update_peers()

    def _update_peers(self) -> None:
        self.pools = {
            model: self.discovered[pool] if isinstance(pool, DiscoveredPool) else pool
            for model, pool in self.declared.items()
        }
        all_members = {member for members in self.pools.values() for member in members}
        for member in self.peers.keys() - all_members:
            del self.peers[member]
            self.stop_events.pop(member).set()
        for member in all_members - self.peers.keys():
            address = self.last_listed.get(member.worker)
            self.peers[member] = Peer("untested" if address else "out", now(), address=address)
            self._start_polling(member, partial(self._probe, member))
        log("members", models={model: len(members) for model, members in self.pools.items()})

    def _start_polling(self, target: Member | DiscoveredPool, poll: Callable[[], Callable[[], None]]) -> None:
        """Start a thread that polls `target` every interval and queues the event that `poll` returns."""
        stop = self.stop_events[target] = threading.Event()

        def loop() -> None:
            while not stop.is_set():
                started = time.monotonic()
                self.events.put(poll())
                stop.wait(max(0.0, self.interval - (time.monotonic() - started)))

        threading.Thread(target=loop, daemon=True).start()

    def _probe(self, member: Member) -> Callable[[], None]:
        probe = probe_worker(member)
        return lambda: self._record_probe(member, probe)

    def _resolve_pool(self, pool: DiscoveredPool) -> Callable[[], None]:
        try:
            members = pool.members(resolve_all(pool.address))
        except OSError:  # no worker runs, or the name server is down: keep the members and let their probes decide
            return lambda: None
        return lambda: self._record_discovery(pool, members)

    def _record_discovery(self, pool: DiscoveredPool, members: tuple[Member, ...]) -> None:
        if self.discovered.get(pool, members) != members:
            self.discovered[pool] = members
            self._update_peers()

    def _record_probe(self, member: Member, probe: Probe) -> None:
        before = self.peers.get(member)
        if before is None:
            return
        after = self.peers[member] = next_state(release(before, time.monotonic()), probe)
        self._log_change(member, before, after)

    def _try(self, address: str) -> None:
        """Have an outlier classify a golden image in a thread; Nginx bypasses it meanwhile."""
        member = self._listable(address)
        if member is None:  # it is out already, or Nginx lists it only because all others are out, too
            self.answers.acquit(address)
            return
        others = [self.peers[other] for other in self.pools.get(member.model, ()) if other != member]
        helper = next((peer.address for peer in others if peer.rotation == "in" and peer.address), address)

        def trial() -> None:
            fault = try_golden_image(address, helper)
            self.events.put(partial(self._judge, address, fault))

        threading.Thread(target=trial, daemon=True).start()

    def _judge(self, address: str, fault: str | None) -> None:
        member = self._listable(address)
        if member and fault:
            before = self.peers[member]
            after = self.peers[member] = eject(before, now(), time.monotonic(), self.ejection_s)
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
            log("worker", worker=after.identity.get("worker", member.worker), **change, reason=after.reason)
            self.status_due = 0.0

    def _publish(self) -> None:
        if not self.pools:
            return
        listed = {model: select_servers(members, self.peers, self.last_listed) for model, members in self.pools.items()}
        self.last_listed = {worker: address for servers in listed.values() for worker, address in servers.items()}
        self.nginx.apply(render_upstreams(listed, self.answers.log_target, self.options))
        self._follow_answers()
        # Not before every worker was probed: until then the previous gate's status is the better one.
        if time.monotonic() >= self.status_due and all(peer.probed for peer in self.peers.values()):
            self.status_due = time.monotonic() + self.interval
            loaded = listed_servers(self.nginx.file.read_text())
            status = render_status(self.pools, self.peers, loaded, now())
            self.required_models |= {model["name"] for model in status["models"] if model["ready"]}
            write_status(self.out, status, render_models(status, self.pools, self.peers), self.required_models)

    def _follow_answers(self) -> None:
        ejected = {member for member, peer in self.peers.items() if peer.rotation == "ejected"}
        pools = {}
        for model, servers in listed_pools(self.nginx.file.read_text()).items():
            members = self.pools.get(model, ())
            ejectable = most_ejected(len(members)) - len(ejected.intersection(members))
            pools[model] = Listed(model, tuple(servers.values()), ejectable)
        self.answers.follow(pools)
        if self.nginx.settled:
            self.answers.end_bypasses()

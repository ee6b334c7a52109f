"""The gate at work: everyone is asked at once, and one thread decides."""

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .members import Declared, Member, Name, Pools, parse_members
from .out import Nginx, log, now, write_status
from .probe import ask, look_up
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
    """Asks every member in a thread of its own, so that one that hangs delays no other, and follows every name so."""

    def __init__(self, members_file: Path, out: Path, nginx: Nginx, interval: float) -> None:
        self.members_file = members_file
        self.out = out
        self.nginx = nginx
        self.interval = interval
        self.answers: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.members_text = self.members_fault = ""
        self.declared: Declared = {}
        self.pools: Pools = {}
        self.found: dict[Name, tuple[Member, ...]] = {}
        self.counted: set[str] = set()  # the models that ready.json speaks of
        self.peers: dict[Member, Peer] = {}
        self.threads: dict[Member | Name, threading.Event] = {}  # each to be told when it is to end
        self.last = listed_servers(nginx.file.read_text())
        self.status_due = 0.0

    def run(self) -> None:
        """Until None comes through `answers`."""
        while True:
            self._read_members()
            try:
                heard = [self.answers.get(timeout=self.interval)]
                while not self.answers.empty():
                    heard.append(self.answers.get())
            except queue.Empty:
                heard = []
            for take_in in heard:
                if take_in is None:
                    return
                take_in()
            self._publish()

    def _read_members(self) -> None:
        try:
            text = self.members_file.read_text()
            if text == self.members_text:
                return
            self.members_text = text
            declared = parse_members(text)
        except (OSError, ValueError) as error:
            if str(error) != self.members_fault:
                self.members_fault = str(error)
                log("members_refused", fault=str(error), file=str(self.members_file))
            return
        self.members_fault = ""
        self.counted = self.counted & declared.keys() if self.declared else set(declared)
        self._follow(declared)

    def _follow(self, declared: Declared) -> None:
        self.declared = declared
        names = {pool for pool in declared.values() if isinstance(pool, Name)}
        for name in self.found.keys() - names:
            del self.found[name]
            self.threads.pop(name).set()
        listed = listed_pools(self.nginx.file.read_text())
        for name in names - self.found.keys():
            # Until the name was followed, those that a gate before this one found.
            self.found[name] = name.members(listed.get(name.model, {}).values())
            self._start(name, partial(self._look_up, name))
        self._ask_those_declared()

    def _ask_those_declared(self) -> None:
        self.pools = {
            model: self.found[pool] if isinstance(pool, Name) else pool for model, pool in self.declared.items()
        }
        everyone = {member for members in self.pools.values() for member in members}
        for member in self.peers.keys() - everyone:
            del self.peers[member]
            self.threads.pop(member).set()
        for member in everyone - self.peers.keys():
            before = self.last.get(member.worker)
            self.peers[member] = Peer("untested" if before else "out", now(), address=before)
            self._start(member, partial(self._ask, member))
        log("members", models={model: len(members) for model, members in self.pools.items()})

    def _start(self, whom: Member | Name, look: Callable[[], Callable[[], None]]) -> None:
        """A thread that looks once an interval, and hands on how to take in what it saw."""
        stop = self.threads[whom] = threading.Event()

        def go_on() -> None:
            while not stop.is_set():
                began = time.monotonic()
                self.answers.put(look())
                stop.wait(max(0.0, self.interval - (time.monotonic() - began)))

        threading.Thread(target=go_on, daemon=True).start()

    def _ask(self, member: Member) -> Callable[[], None]:
        probe = ask(member)
        return lambda: self._record_probe(member, probe)

    def _look_up(self, name: Name) -> Callable[[], None]:
        try:
            members = name.members(look_up(name.address))
        except OSError:  # nobody is there, or nobody who knows: those found last are still asked themselves
            return lambda: None
        return lambda: self._find(name, members)

    def _find(self, name: Name, members: tuple[Member, ...]) -> None:
        if self.found.get(name, members) != members:
            self.found[name] = members
            self._ask_those_declared()

    def _record_probe(self, member: Member, probe: Probe) -> None:
        before = self.peers.get(member)
        if before is None:
            return
        after = self.peers[member] = next_state(before, probe)
        if (before.standing, before.state) != (after.standing, after.state):
            said = {"from": f"{before.standing}, {before.state}", "to": f"{after.standing}, {after.state}"}
            log("worker", worker=after.who.get("worker", member.worker), **said, reason=after.reason)
            self.status_due = 0.0

    def _publish(self) -> None:
        if not self.pools:
            return
        listed = {model: select_servers(members, self.peers, self.last) for model, members in self.pools.items()}
        self.last = {worker: address for servers in listed.values() for worker, address in servers.items()}
        self.nginx.apply(render_upstreams(listed))
        # Not before every worker was asked: a gate that just started has nothing better to say than the one before.
        if time.monotonic() >= self.status_due and all(peer.asked for peer in self.peers.values()):
            self.status_due = time.monotonic() + self.interval
            told = listed_servers(self.nginx.file.read_text())
            status = render_status(self.pools, self.peers, told, now())
            self.counted |= {model["name"] for model in status["models"] if model["ready"]}
            write_status(self.out, status, render_models(status, self.pools, self.peers), self.counted)

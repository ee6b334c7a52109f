"""The gate's main loop: one thread probes all members, and the main thread alone changes state."""

import time
from functools import partial
from pathlib import Path

from .answers import Answers
from .clock import Clock
from .configuration import Configuration
from .endpoint import Endpoint
from .events import Events
from .freshness import beat
from .members import DiscoveredPool, Member
from .observed import Observed
from .out import Nginx, log, write_target
from .probe import try_golden_image
from .publisher import STATUS_S, Publisher
from .roster import Roster
from .rules import Probe
from .schedule import Schedule
from .upstreams import listed_pools, listed_servers

READ_GAP_S = 0.5  # at most, between two looks at members.json and keys.json: a revoked key must not live on


class Gate:
    """Keep Nginx's list and the status to what the schedule's probes and Nginx's answers say of the members."""

    def __init__(self, members_file: Path, out: Path, nginx: Nginx, interval: float, ejection_s: float) -> None:
        self.events = Events()
        self._out, self._nginx, self._interval, self._ejection_s = out, nginx, interval, ejection_s
        self._configuration = Configuration(members_file, out.parent)
        self._observed = Observed()
        self._endpoint = Endpoint(self._observed.text)
        self._answers = Answers(
            out,
            lambda address: self.events.put(partial(self._try, address)),
            lambda: self.events.put(self._end_slow_bodies),
            self._observed.count_exchange,
        )
        self._roster = Roster(listed_servers(nginx.file.read_text()), self._observed)
        self._publisher = Publisher(
            self._configuration, self._roster, nginx, self._answers, self._observed, min(interval, STATUS_S)
        )
        self._schedule = Schedule(
            interval,
            self._probed,
            lambda pool, addresses: self.events.put(partial(self._discover, pool, pool.members(addresses))),
            self._observed.collect,
            self._observed.is_asked,
        )
        self._clock = Clock()
        self._members_due = 0.0
        self._output_fault = ""  # what was wrong with the files that were written last

    def run(self) -> None:
        """Apply events and publish the result until an event is None."""
        self._answers.start()
        self._schedule.start()
        self._publisher.metrics_at = self._schedule.submit(self._endpoint.open_own()).result()
        write_target(self._out, self._publisher.metrics_at)
        while True:
            beat(self._out)
            self._reload_members()
            # Not longer than until the files are to be read, and the heartbeat is due.
            for event in self.events.gather(min(self._publisher.until_due_s(), self._interval, READ_GAP_S)):
                if event is None:
                    return
                event()
            if self._clock.was_set_back():  # Nginx would leave out for as long each worker that has just failed
                log("clock_set_back")
                self._nginx.loaded = None
            try:
                if self._publisher.publish():
                    self._schedule.submit(self._endpoint.follow(self._configuration.options.metrics.listen))
                self._output_fault = ""
            except OSError as error:  # such as a full disk; Nginx does not serve the old status for long
                if str(error) != self._output_fault:
                    self._output_fault = str(error)
                    log("output_failed", fault=str(error))

    def _reload_members(self) -> None:
        if time.monotonic() < self._members_due:
            return
        self._members_due = time.monotonic() + min(self._interval, READ_GAP_S)
        before = self._configuration.declared
        if not self._configuration.read():
            return
        self._roster.stale = True
        self._publisher.write_models()  # before Nginx leads a new key to its list
        declared = self._configuration.declared
        if declared is not before:
            self._publisher.require(declared.keys(), is_first=not before)
            self._roster.declare(declared, listed_pools(self._nginx.file.read_text()))
            self._probe_members()

    def _discover(self, pool: DiscoveredPool, members: tuple[Member, ...]) -> None:
        if self._roster.discover(self._configuration.declared, pool, members):
            self._probe_members()

    def _probe_members(self) -> None:
        self._schedule.follow([*self._roster.discovered, *self._roster.peers])

    def _probed(self, member: Member, probe: Probe) -> None:
        """Hand on a result, on the schedule's thread."""
        self.events.put(partial(self._roster.record, member, probe), soon=not self._roster.is_usual(member, probe))

    def _try(self, address: str) -> None:
        """Have an outlier classify a golden image; Nginx bypasses it meanwhile."""
        member = self._roster.listable(address)
        if member is None:  # it is out already, or Nginx lists it only because all others are out, too
            self._answers.acquit(address)
            return
        helper = self._roster.other_address(member) or address

        async def trial() -> None:
            fault = await try_golden_image(address, helper)
            self.events.put(partial(self._judge, address, fault))

        self._schedule.submit(trial())

    def _judge(self, address: str, fault: str | None) -> None:
        member = self._roster.listable(address)
        if member:
            name = self._roster.peers[member].name(member)
            self._observed.count("golden_trials_total", member.model, name, "failed" if fault else "passed")
        if member and fault:
            self._roster.eject(member, fault, self._ejection_s)
        else:
            self._answers.acquit(address)
            log("acquitted", address=address)

    def _end_slow_bodies(self) -> None:
        """Reload Nginx, whose old processes then end every request that takes longer than worker_shutdown_timeout.

        Nginx itself has no limit of the whole time of a body, so slow ones could keep their places for ever.
        """
        log("bodies_full")
        self._nginx.loaded = None

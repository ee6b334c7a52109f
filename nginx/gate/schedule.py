"""Probe all members, collect their metrics and resolve discovered pools, on one thread: a hung one delays no other."""

import asyncio
import math
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from .collect import PROBES, Collector
from .exposition import Families
from .members import DiscoveredPool, Member
from .probe import Prober
from .resolve import Resolver, format_address, split_address
from .rules import Probe

T = TypeVar("T")

GAP_S = 0.002  # between the first probes of two members
TICK_S = 0.02  # probes start together in ticks: many in one wake-up of the thread cost a third less
JITTER = 0.05  # of an interval: probes that a pause of this machine has bunched spread again


class Schedule:
    """Poll each target every `interval` seconds; the callbacks run on the schedule's thread.

    A target is a member, whose probe goes to `probed`, or a discovered pool, whose addresses go to `resolved`. A
    member's own metrics go to `collected` once in PROBES intervals, while they are wanted.
    """

    def __init__(
        self,
        interval: float,
        probed: Callable[[Member, Probe], None],
        resolved: Callable[[DiscoveredPool, list[str]], None],
        collected: Callable[[Member, Families | None], None] = lambda *_: None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._interval, self._probed, self._resolved = interval, probed, resolved
        self._collected, self._is_wanted = collected, is_wanted
        self._resolver = Resolver(interval)
        self._tasks: dict[Member | DiscoveredPool, list[asyncio.Task[None]]] = {}
        self._identities: dict[Member, Mapping[str, str]] = {}  # of discovered members, as they said themselves
        self._loop = asyncio.new_event_loop()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._loop.run_forever, name="probes", daemon=True).start()

    def follow(self, targets: Iterable[Member | DiscoveredPool]) -> None:
        """Poll `targets` from now on, and no others."""
        self._loop.call_soon_threadsafe(self._follow, tuple(targets))

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run `coroutine` beside the probes; return the future of its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _follow(self, targets: tuple[Member | DiscoveredPool, ...]) -> None:
        for gone in self._tasks.keys() - set(targets):
            self._identities.pop(gone, None)  # type: ignore[arg-type]
            for task in self._tasks.pop(gone):
                task.cancel()
        for number, target in enumerate(target for target in targets if target not in self._tasks):
            first_s = number * GAP_S % self._interval
            if isinstance(target, DiscoveredPool):
                polls = [self._resolve(target, first_s)]
            else:
                polls = [self._probe(target, first_s), self._collect(target, first_s + self._interval)]
            self._tasks[target] = [self._loop.create_task(poll) for poll in polls]

    async def _probe(self, member: Member, first_s: float) -> None:
        prober = Prober(member, self._resolver)
        try:
            async for _ in ticks(self._interval, first_s):
                probe = await prober.probe()
                self._identities[member] = probe.identity or self._identities.get(member, {})
                self._probed(member, probe)
        finally:
            prober.close()

    async def _collect(self, member: Member, first_s: float) -> None:
        collector = Collector(member, self._resolver)
        try:
            async for _ in ticks(PROBES * self._interval, first_s):
                names = {"worker": member.worker, "slot": member.slot, **self._identities.get(member, {})}
                self._collected(member, await collector.collect(**names) if self._is_wanted() else None)
        finally:
            collector.close()

    async def _resolve(self, pool: DiscoveredPool, first_s: float) -> None:
        async for _ in ticks(self._interval, first_s):
            try:
                host, port = split_address(pool.address)
                ips = await self._resolver.addresses(host)
            except OSError:  # no worker runs, or the name server is down: keep the members and let their probes decide
                continue
            self._resolved(pool, [format_address(ip, port) for ip in ips])


async def ticks(interval: float, first_s: float) -> AsyncIterator[None]:
    """Yield after `first_s` seconds, then every `interval`, more or less by JITTER, without a backlog."""
    loop = asyncio.get_running_loop()
    due = loop.time() + first_s
    while True:
        await asyncio.sleep(math.ceil(due / TICK_S) * TICK_S - loop.time())
        yield
        due = max(due + interval * random.uniform(1 - JITTER, 1 + JITTER), loop.time())  # noqa: S311

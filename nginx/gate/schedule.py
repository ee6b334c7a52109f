"""Probe all members and resolve all discovered pools, on one thread: a hung one delays no other."""

import asyncio
import math
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

from .members import DiscoveredPool, Member
from .probe import Prober
from .resolve import Resolver, format_address, split_address
from .rules import Probe

GAP_S = 0.002  # between the first probes of two members
TICK_S = 0.02  # probes start together in ticks: many in one wake-up of the thread cost a third less
JITTER = 0.05  # of an interval: probes that a pause of this machine has bunched spread again


class Schedule:
    """Poll each target every `interval` seconds; the callbacks run on the schedule's thread.

    A target is a member, whose probe goes to `probed`, or a discovered pool, whose addresses go to `resolved`.
    """

    def __init__(
        self,
        interval: float,
        probed: Callable[[Member, Probe], None],
        resolved: Callable[[DiscoveredPool, list[str]], None],
    ) -> None:
        self._interval, self._probed, self._resolved = interval, probed, resolved
        self._resolver = Resolver(interval)
        self._tasks: dict[Member | DiscoveredPool, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._loop.run_forever, name="probes", daemon=True).start()

    def follow(self, targets: Iterable[Member | DiscoveredPool]) -> None:
        """Poll `targets` from now on, and no others."""
        self._loop.call_soon_threadsafe(self._follow, tuple(targets))

    def submit(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run `coroutine` beside the probes."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _follow(self, targets: tuple[Member | DiscoveredPool, ...]) -> None:
        for gone in self._tasks.keys() - set(targets):
            self._tasks.pop(gone).cancel()
        for number, target in enumerate(target for target in targets if target not in self._tasks):
            poll = self._resolve if isinstance(target, DiscoveredPool) else self._probe
            first_s = number * GAP_S % self._interval
            self._tasks[target] = self._loop.create_task(poll(target, first_s))  # type: ignore[arg-type]

    async def _probe(self, member: Member, first_s: float) -> None:
        prober = Prober(member, self._resolver)
        try:
            async for _ in ticks(self._interval, first_s):
                self._probed(member, await prober.probe())
        finally:
            prober.close()

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

"""Ask the workers for their own metrics, at a slow pace and over connections of their own: no probe waits for one."""

import asyncio

from .connection import Connection, render_request
from .exposition import Families, labels, parse_worker
from .members import Member
from .resolve import Resolver, split_address

PROBES = 10  # a worker is asked once in the time of so many probes
TIMEOUT_S = 1.5
MAX_BYTES = 1 << 17  # a longer answer is left out as a whole: it is none of ours


class Collector:
    """Collect one member's metrics over a kept connection."""

    def __init__(self, member: Member, resolver: Resolver) -> None:
        self._member, self._resolver = member, resolver
        self._request = render_request("GET", "/metrics", member.address)
        self._connection: Connection | None = None

    async def collect(self, worker: str, slot: str) -> Families | None:
        """Return its metrics under these names; None if it has none. Nothing that it does raises an exception."""
        try:
            host, port = split_address(self._member.address)
            ip = (await self._resolver.addresses(host))[0]
            if self._connection is None or self._connection.endpoint != (ip, port):
                self.close()
                self._connection = Connection(ip, port)
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._connection.ask(self._request, MAX_BYTES)
            identity = labels({"worker": worker, "slot": slot, "model": self._member.model})
            right = answer.status == 200 and len(answer.body) < MAX_BYTES
            return parse_worker(answer.body, identity) if right else None
        except Exception:  # whatever it was, it has no metrics, and the probing must go on
            return None

    def close(self) -> None:
        if self._connection:
            self._connection.close()

"""What the gate asks a worker: whether it is ready, and, of one whose answers fail, its golden image."""

import asyncio
import os
import time
from dataclasses import replace

from .connection import Connection, render_request
from .http1 import Answer
from .members import Member
from .out import now
from .reasons import Reason
from .resolve import Resolver, format_address, split_address
from .rules import Probe, parse_readyz

# How long a probe waits for its answer: the first, and those after one and after two that timed out. A frozen worker,
# which accepts connections and never answers, is so out within 4.5 s (tests/unit/nginx/test_figures.py adds it up). One
# that is only slow stays in as long as it answers within the last of these, and keeps that time until it is quick.
PATIENCE_S = (0.6, 1.0, 1.5)
TRIAL_TIMEOUT_S = 5.0
READYZ_BYTES, GOLDEN_BYTES = 1 << 16, 32 << 20


class Prober:
    """Probe one member over a kept connection."""

    def __init__(self, member: Member, resolver: Resolver) -> None:
        self.member, self._resolver = member, resolver
        self._request = render_request("GET", "/readyz", member.address)
        self._connection: Connection | None = None
        self._timed_out = 0  # probes since it last answered within the first of PATIENCE_S

    async def probe(self) -> Probe:
        """Return the result of one probe; nothing that the worker or its name server does raises an exception."""
        try:
            host, port = split_address(self.member.address)
            # Of several addresses it is always the first, since a changed one would cost a reload.
            ip = (await self._resolver.addresses(host))[0]
        except OSError as error:
            return Probe("unreachable", str(error), now())
        return replace(await self._ask(ip, port), address=format_address(ip, port))

    def close(self) -> None:
        if self._connection:
            self._connection.close()

    async def _ask(self, ip: str, port: int) -> Probe:
        if self._connection is None or self._connection.endpoint != (ip, port):
            self.close()
            self._connection = Connection(ip, port)
        patience_s, asked = PATIENCE_S[min(self._timed_out, len(PATIENCE_S) - 1)], time.monotonic()
        try:
            async with asyncio.timeout(patience_s):
                answer = await self._connection.ask(self._request, READYZ_BYTES)
            if time.monotonic() - asked <= PATIENCE_S[0]:
                self._timed_out = 0
            return parse_readyz(self.member, answer.status, answer.body, now())
        except Exception as error:  # whatever it was, the worker did not answer, and the probing must go on
            self._timed_out += isinstance(error, TimeoutError)
            return Probe("unreachable", _fault(error), now())


def _fault(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return Reason.TIMED_OUT
    # asyncio's own words for a refused connection name the address, which changes nothing here.
    if isinstance(error, OSError) and error.errno:
        return Reason.SYSTEM.format(number=error.errno, fault=os.strerror(error.errno))
    return str(error) or type(error).__name__


async def try_golden_image(address: str, helper: str) -> str | None:
    """Let the worker at `address` classify the model's golden image, which the one at `helper` hands out.

    Return what went wrong, None if its answer is no server error: then the requests that it failed on were bad.
    """
    golden = await _ask_once(helper, render_request("GET", "/golden", helper))
    if golden is None or golden.status != 200:
        return "no other worker hands out a golden image to try it on"
    kind = {"Content-Type": golden.headers.get("content-type", "")}
    answer = await _ask_once(address, render_request("POST", "/predict", address, golden.body, kind))
    fault = f"it answered {answer.status if answer else 'nothing'} to the golden image"
    return fault if answer is None or answer.status >= 500 else None


async def _ask_once(address: str, request: bytes) -> Answer | None:
    """Return the answer on a connection of its own, None if there is none."""
    connection = Connection(*split_address(address))
    try:
        async with asyncio.timeout(TRIAL_TIMEOUT_S):
            return await connection.ask(request, GOLDEN_BYTES)
    except Exception:  # whatever it was, the worker did not answer
        return None
    finally:
        connection.close()

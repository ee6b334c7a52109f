"""Resolve host names. The C library's lookup blocks, up to half a minute if no name server answers."""

import asyncio
import ipaddress
import queue
import socket
import threading
import time

from .reasons import Reason

THREADS = 16  # of all lookups together, started by the first one
WAIT_S = 1.0  # for a lookup, before the last addresses serve instead


def split_address(address: str) -> tuple[str, int]:
    """Return the host, an IPv6 address without its brackets, and the port; raise OSError if there is no such port.

    Nginx would reject its whole configuration.
    """
    host, _, port = address.rpartition(":")
    if not 0 < int(port) < 1 << 16:
        raise OSError(Reason.BAD_PORT.format(address=address, port=port))
    return host.strip("[]"), int(port)


def format_address(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def fixed_ip(host: str) -> str | None:
    """Return the IP address that `host` is, None if it is a name."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def look_up(host: str) -> list[str]:
    """Return the IP addresses of `host`, sorted, since another order would cost a reload; raise OSError if none."""
    try:
        results = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError for an invalid name such as "a..b"
        raise OSError(Reason.NO_ADDRESS.format(host=host, fault=error.args[-1])) from error
    return [ip for _, ip in sorted({(family, str(endpoint[0])) for family, _, _, _, endpoint in results})]


class Resolver:
    """Look up names on a few threads, each name once in `interval` seconds however many workers have it.

    To be used in one event loop.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._names: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._pending: dict[str, asyncio.Future[list[str] | OSError]] = {}  # by name
        self._results: dict[str, tuple[float, list[str] | OSError]] = {}  # by name, with their monotonic time
        self._threads: list[threading.Thread] = []

    async def addresses(self, host: str) -> list[str]:
        """Return the IP addresses of `host`; raise OSError if it has none, or none is known after WAIT_S."""
        if ip := fixed_ip(host):
            return [ip]
        at, result = self._results.get(host, (0.0, None))
        if result is None or time.monotonic() - at >= self._interval:
            lookup = self._pending.get(host) or self._start(host)
            finished, _ = await asyncio.wait([lookup], timeout=WAIT_S)
            result = lookup.result() if finished else result
        if result is None:
            raise OSError(Reason.NO_NAME_SERVER.format(host=host))
        if isinstance(result, OSError):
            raise result
        return result

    def _start(self, host: str) -> asyncio.Future[list[str] | OSError]:
        loop = asyncio.get_running_loop()
        if not self._threads:  # daemons, so that a lookup that hangs does not keep the gate from stopping
            self._threads = [threading.Thread(target=self._run, args=(loop,), daemon=True) for _ in range(THREADS)]
            for thread in self._threads:
                thread.start()
        self._pending[host] = loop.create_future()
        self._names.put(host)
        return self._pending[host]

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            host = self._names.get()
            result: list[str] | OSError
            try:
                result = look_up(host)
            except Exception as error:  # whatever it was, the thread must go on
                result = error if isinstance(error, OSError) else OSError(f"{host}: {error}")
            loop.call_soon_threadsafe(self._finish, host, result)

    def _finish(self, host: str, result: list[str] | OSError) -> None:
        self._results[host] = (time.monotonic(), result)
        self._pending.pop(host).set_result(result)

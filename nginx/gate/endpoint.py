"""Serve GET /metrics, beside the probes and on their thread: one answer for each connection, and few at once."""

import asyncio
import socket
from collections.abc import Callable, Iterable

from . import entrance
from .exposition import CONTENT_TYPE
from .out import log
from .resolve import format_address, split_address

PATH = "/metrics"
CONNECTIONS = 16  # more are closed at once
TIMEOUT_S = 10.0  # for a request, and for its answer to be taken
HEAD_BYTES = 1 << 14
REFUSALS = {404: "404 Not Found", 405: "405 Method Not Allowed\r\nAllow: GET, HEAD"}


class Endpoint:
    """Answer with `text` at a port of 127.0.0.1, by which Nginx asks, and at every address that it is given.

    The entrance has sockets for the ports of some: it answers there, too.
    """

    def __init__(self, text: Callable[[], bytes]) -> None:
        self._text = text
        self._servers: dict[str, asyncio.Server] = {}  # by address
        self._faults: dict[str, str] = {}  # by address
        self._entrance = ""  # its identity
        self._entered: list[asyncio.Server] = []
        self._connections = 0

    async def open_own(self) -> str:
        """Listen at a free port of 127.0.0.1; return its address."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, limit=HEAD_BYTES)
        return format_address(*server.sockets[0].getsockname()[:2])

    async def follow(self, addresses: Iterable[str]) -> None:
        """Listen at `addresses` (ip:port) besides, and at no others; log why one cannot be had, once."""
        wanted = set(addresses)
        for gone in self._servers.keys() - wanted:
            self._servers.pop(gone).close()
        self._faults = {address: fault for address, fault in self._faults.items() if address in wanted}
        for address in sorted(wanted - self._servers.keys()):
            try:
                host, port = split_address(address)
                self._servers[address] = await asyncio.start_server(self._answer, host, port, limit=HEAD_BYTES)
                self._faults.pop(address, None)
            except OSError as error:
                if self._faults.get(address) != str(error):
                    self._faults[address] = str(error)
                    log("metrics_not_served", address=address, fault=str(error))
        await self._follow_entrance({split_address(address)[1] for address in self._servers})

    async def _follow_entrance(self, ports: set[int]) -> None:
        """Answer at the entrance's sockets for `ports`, if there is another entrance than before."""
        try:
            if (found := entrance.identity()) == self._entrance:
                return
            self._entrance = found
            for server in self._entered:
                server.close()
            self._entered = []
            for number in await asyncio.to_thread(entrance.receive):
                opened = socket.socket(fileno=number)
                if opened.getsockname()[1] in ports:
                    self._entered.append(await asyncio.start_server(self._answer, sock=opened, limit=HEAD_BYTES))
                else:  # Nginx's
                    opened.close()
        except OSError:  # none is there, or it has just ended: look again
            self._entrance = ""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS:
                async with asyncio.timeout(TIMEOUT_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._reply(head))
                    await writer.drain()
                    writer.write_eof()
                    await reader.read(HEAD_BYTES)  # what closes first with bytes unread loses its answer
        except Exception:  # whatever the client did, the probes on this thread must go on
            writer.transport.abort()
        finally:
            self._connections -= 1
            writer.close()

    def _reply(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        status = 404 if path != PATH else 200 if method in (b"GET", b"HEAD") else 405
        body = self._text() if status == 200 else f"{REFUSALS[status][:3]}\n".encode()
        fields = f"HTTP/1.1 {REFUSALS.get(status, '200 OK')}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        fields += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return fields.encode() + (b"" if method == b"HEAD" else body)

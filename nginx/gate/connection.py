"""A connection of the gate to one worker, kept from one request to the next."""

import asyncio
import socket
from collections.abc import Mapping

from .http1 import Answer, parse_answer

READ_BYTES = 1 << 16
FIRST_PAUSE_S = 0.001


def render_request(
    method: str, path: str, host: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """Return the bytes of a request."""
    fields = {"Host": host, **(headers or {})} | ({"Content-Length": str(len(body))} if body else {})
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


class Connection:
    """A connection to `ip`:`port`, opened by the first request and again by the first after it was closed."""

    def __init__(self, ip: str, port: int) -> None:
        self.endpoint = (ip, port)
        self._socket: socket.socket | None = None

    async def ask(self, request: bytes, limit: int) -> Answer:
        """Return the answer, its body cut at `limit` bytes; raise OSError or AnswerError if there is none.

        A worker may close a kept connection at any time, so `request` is sent twice if the first one fails on it.
        """
        if self._is_idle():
            try:
                return await self._exchange(request, limit)
            except Exception:  # whatever it was, only a new connection tells whether the worker answers
                self.close()
        await self._open()
        return await self._exchange(request, limit)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _is_idle(self) -> bool:
        """Return whether the connection is open, and holds nothing that would be taken for the next answer."""
        try:
            if self._socket is not None:
                self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    async def _open(self) -> None:
        self.close()
        family = socket.AF_INET6 if ":" in self.endpoint[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await asyncio.get_running_loop().sock_connect(self._socket, self.endpoint)
        except BaseException:
            self.close()
            raise

    async def _exchange(self, request: bytes, limit: int) -> Answer:
        answer = None
        assert self._socket is not None  # noqa: S101
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, request)
            answer = await _receive(self._socket, limit)
        finally:
            if answer is None or not answer.reusable:
                self.close()
        return answer


async def _receive(connection: socket.socket, limit: int) -> Answer:
    """Return the answer that arrives on `connection`.

    Pauses that double bound the work for an answer that drips: 11 reads in a second, however many bytes come alone.
    """
    loop, data, pause = asyncio.get_running_loop(), bytearray(), FIRST_PAUSE_S
    while True:
        piece = await loop.sock_recv(connection, READ_BYTES)
        data += piece
        if answer := parse_answer(data, not piece, limit):
            return answer
        if len(piece) < READ_BYTES:
            await asyncio.sleep(pause)
            pause *= 2

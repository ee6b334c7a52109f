"""The load generator's connections: many at once in one thread, each with one request under way."""

import heapq
import select
import socket
import time
from collections.abc import Iterator, Sequence

from scripts.bench.requests import Answer, read_answer

SEND_BUFFER = 1 << 20  # a whole request fits: one call hands it to the kernel
CHUNK = 1 << 16
TIMEOUT_S = 5  # of connecting


class Connection:
    """One kept connection, and the request that is under way on it, due at `due`."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), TIMEOUT_S)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.unsent, self.received, self.due = memoryview(b""), b"", 0.0

    def fileno(self) -> int:
        return self.socket.fileno()

    def begin(self, request: bytes, due: float) -> None:
        self.unsent, self.received, self.due = memoryview(request), b"", due
        self.send()

    def send(self) -> None:
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return

    def answer(self) -> Answer | None:
        """The answer, once it is complete; raises ConnectionError when the server closed before that."""
        chunk = self.socket.recv(CHUNK)
        if not chunk:
            raise ConnectionResetError
        self.received += chunk
        return read_answer(self.received)


class Client:
    """Sends what is due and collects the answers, on connections to `addresses` in turn."""

    def __init__(self, addresses: Sequence[str], requests: Sequence[bytes], most: int) -> None:
        self.addresses, self.requests, self.most = addresses, requests, most
        self.idle: list[Connection] = []
        self.busy: set[Connection] = set()
        self.opened = self.sent = 0

    def turn(self, due: list[float], until: float) -> Iterator[tuple[float, float, str]]:
        """Send what is due, then wait until `until` at most; yields (due, end, status) of each request that ended."""
        while due and due[0] <= time.monotonic() and (self.idle or len(self.busy) < self.most):
            moment = heapq.heappop(due)
            try:
                self._send(moment)
            except OSError as error:
                yield moment, time.monotonic(), type(error).__name__
        held = due and due[0] <= time.monotonic()  # all connections are busy: only an answer helps
        wait = (until if held or not due else min(until, due[0])) - time.monotonic()
        writing = [connection for connection in self.busy if connection.unsent]
        # select(2) alone waits to the microsecond; epoll's milliseconds would make an open loop send late.
        readable, writable, _ = select.select([*self.busy, *self.idle], writing, [], max(wait, 0))
        for connection in writable:
            connection.send()
        for connection in readable:
            if connection in self.busy:
                yield from self._receive(connection)
            else:
                self._close(connection)  # a server ends what is idle too long

    def _send(self, due: float) -> None:
        connection = self.idle.pop() if self.idle else self._connect()
        self.busy.add(connection)
        try:
            connection.begin(self.requests[self.sent % len(self.requests)], due)
        except OSError:
            self._close(connection)
            raise
        self.sent += 1

    def _connect(self) -> Connection:
        self.opened += 1
        return Connection(self.addresses[self.opened % len(self.addresses)])

    def _receive(self, connection: Connection) -> Iterator[tuple[float, float, str]]:
        try:
            answer = connection.answer()
        except OSError as error:
            self._close(connection)
            yield connection.due, time.monotonic(), type(error).__name__
            return
        if answer is None:
            return
        if answer.closes:
            self._close(connection)
        else:
            self.busy.remove(connection)
            self.idle.append(connection)
        yield connection.due, time.monotonic(), answer.status

    def _close(self, connection: Connection) -> None:
        self.busy.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        connection.socket.close()

    def close(self) -> None:
        for connection in [*self.busy, *self.idle]:
            self._close(connection)

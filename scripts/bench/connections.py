"""The load generator's connections: many in one thread, each with one request in flight."""

import heapq
import select
import socket
import time
from collections.abc import Iterator, Sequence

from scripts.bench.requests import Response, read_response

SEND_BUFFER_BYTES = 1 << 20  # larger than a request, so that one call hands it to the kernel
CHUNK_BYTES = 1 << 16
CONNECT_TIMEOUT_S = 5


class Connection:
    """A keep-alive connection and the request in flight on it, which was due at `due`."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.unsent, self.received, self.due = memoryview(b""), b"", 0.0

    def fileno(self) -> int:
        return self.socket.fileno()

    def start(self, request: bytes, due: float) -> None:
        self.unsent, self.received, self.due = memoryview(request), b"", due
        self.send()

    def send(self) -> None:
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return

    def receive(self) -> Response | None:
        """Return the response once it is complete; raise ConnectionResetError if the server closes before that."""
        chunk = self.socket.recv(CHUNK_BYTES)
        if not chunk:
            raise ConnectionResetError
        self.received += chunk
        return read_response(self.received)


class Client:
    """Send requests when they are due, on at most `max_connections` connections to `addresses` in turn."""

    def __init__(self, addresses: Sequence[str], requests: Sequence[bytes], max_connections: int) -> None:
        self.addresses, self.requests, self.max_connections = addresses, requests, max_connections
        self.idle: list[Connection] = []
        self.busy: set[Connection] = set()
        self.opened = self.sent = 0

    def poll(self, due: list[float], until: float) -> Iterator[tuple[float, float, str]]:
        """Send the due requests, wait for events until `until`, and yield (due, end, status) of each ended request.

        `due` is a heap of times on the monotonic clock; `status` is three digits, or the name of an exception.
        """
        while due and due[0] <= time.monotonic() and (self.idle or len(self.busy) < self.max_connections):
            moment = heapq.heappop(due)
            try:
                self._send(moment)
            except OSError as error:
                yield moment, time.monotonic(), type(error).__name__
        all_busy = due and due[0] <= time.monotonic()  # nothing can be sent before a response arrives
        wait = (until if all_busy or not due else min(until, due[0])) - time.monotonic()
        writing = [connection for connection in self.busy if connection.unsent]
        # select(2) waits with a resolution of microseconds; with epoll's milliseconds an open loop would send late.
        readable, writable, _ = select.select([*self.busy, *self.idle], writing, [], max(wait, 0))
        for connection in writable:
            connection.send()
        for connection in readable:
            if connection in self.busy:
                yield from self._receive(connection)
            else:
                self._close(connection)  # the server closed an idle connection

    def _send(self, due: float) -> None:
        connection = self.idle.pop() if self.idle else self._connect()
        self.busy.add(connection)
        try:
            connection.start(self.requests[self.sent % len(self.requests)], due)
        except OSError:
            self._close(connection)
            raise
        self.sent += 1

    def _connect(self) -> Connection:
        self.opened += 1
        return Connection(self.addresses[self.opened % len(self.addresses)])

    def _receive(self, connection: Connection) -> Iterator[tuple[float, float, str]]:
        try:
            response = connection.receive()
        except OSError as error:
            self._close(connection)
            yield connection.due, time.monotonic(), type(error).__name__
            return
        if response is None:
            return
        if response.closes:
            self._close(connection)
        else:
            self.busy.remove(connection)
            self.idle.append(connection)
        yield connection.due, time.monotonic(), response.status

    def _close(self, connection: Connection) -> None:
        self.busy.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        connection.socket.close()

    def close(self) -> None:
        for connection in [*self.busy, *self.idle]:
            self._close(connection)

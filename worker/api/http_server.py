"""gunicorn's threaded worker, adapted to a few busy connections, as Nginx keeps them open.

It differs in three ways. It sends an answer in one write, so that a worker that dies leaves no half answer: Nginx tries
another worker only if it has received nothing. A thread stays with its connection while the next request follows soon.
The most common request, one image to /predict, takes the fast path: after an inference all code has left the
processor's caches, and every line that a request executes costs time.
"""

import select
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers import gthread

from worker.api import fast_path
from worker.contract.limits import MAX_QUOTED_CHARACTERS

NEXT_REQUEST_MS = 20  # how long a thread waits for its connection's next request; a busy client sends it within 1 ms
READ_BYTES = 128 * 1024
PIECE_BYTES = 64 * 1024


class WholeAnswer(wsgi.Response):
    """gunicorn's response, with the headers held back and sent together with the first part of the body."""

    held = b""

    def send_headers(self) -> None:
        if not self.headers_sent:  # type: ignore[has-type]
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
            self.held, self.headers_sent = "".join(lines).encode("latin-1"), True

    def can_sendfile(self) -> bool:
        return False  # sendfile would overtake the held headers

    def _emit_body(self, data: bytes) -> None:
        self._send(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def close(self) -> None:
        self.send_headers()
        self._send(b"0\r\n\r\n" if self.chunked else b"")

    def _send(self, data: bytes) -> None:
        head, self.held = self.held, b""
        util.write(self.sock, head + data)


class Replay(SocketUnreader):
    """gunicorn's reader of a connection; it first repeats a request whose body has been read already.

    gunicorn copies all that it has buffered on every read, so it receives the body in pieces, when it asks for more.
    """

    def __init__(self, sock: Any, head: bytes, body: bytes) -> None:
        super().__init__(sock)
        self.unread(head)
        self.ahead = memoryview(body)

    def chunk(self, size_hint: int | None = None) -> bytes:
        if not self.ahead:
            return bytes(super().chunk(size_hint))
        piece, self.ahead = bytes(self.ahead[:PIECE_BYTES]), self.ahead[PIECE_BYTES:]
        return piece


class PredictWorker(gthread.ThreadWorker):
    """The worker class named in gunicorn.conf.py; `self.wsgi` is the application of worker.app."""

    def handle(self, conn: gthread.TConn) -> Any:
        """Answer the requests on `conn` until none follows soon; return what gunicorn's own method returns."""
        keep = self._next(conn) if _readable(conn) else super().handle(conn)
        # With more connections than threads, waiting here would delay another connection.
        while keep is True and self.alive and self.nr_conns <= self.cfg.threads and _readable(conn):
            keep = self._next(conn)
        return keep

    def handle_request(self, req: Any, conn: gthread.TConn) -> bool:
        """Do what gunicorn's method does, in whole answers; leave out hooks and limits that the settings do not use."""
        response, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg, WholeAnswer)
        environ["wsgi.multithread"] = True
        if not self._may_keep():
            response.force_close()
        answer = self.wsgi(environ, response.start_response)
        try:
            for part in answer:
                response.write(part)
            response.close()
        finally:
            answer.close()
        return not response.should_close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Do what gunicorn's method does, but quote little: its errors of HTTP hold whole lines of the request."""
        for name, value in list(vars(exc).items()):
            if isinstance(value, str | bytes):
                setattr(exc, name, value[:MAX_QUOTED_CHARACTERS])
        super().handle_error(req, client, addr, exc)

    def _next(self, conn: gthread.TConn) -> Any:
        """Answer the next request on the fast path or through Flask; return whether to keep the connection."""
        try:
            conn.sock.setblocking(True)
            conn.init()
            data = conn.sock.recv(READ_BYTES)
            request = fast_path.parse(data)
            if request is None:
                conn.parser.unreader.unread(data)
                return super().handle(conn)
            body = _whole(conn, data[request.head :], request.length)
            if body is None:
                return False
            image = request.image(body)
            if image is None:
                conn.parser.unreader = Replay(conn.sock, data[: request.head], body)
                return super().handle(conn)
            keep = self._may_keep()
            service = self.wsgi.extensions["service"]
            conn.sock.sendall(fast_path.answer(service, conn.sock, request.client_id, image, keep))
        except OSError:  # the client disconnected
            return False
        return keep

    def _may_keep(self) -> bool:
        return bool(self.alive and len(self.keepalived_conns) < self.max_keepalived)


def _readable(conn: gthread.TConn) -> bool:
    """Return whether bytes arrive on `conn` within NEXT_REQUEST_MS; False if gunicorn has already buffered some."""
    if conn.initialized:
        reader = conn.parser.unreader
        if reader.buf.getbuffer().nbytes or getattr(reader, "ahead", None):
            return False
    waiting = select.poll()
    waiting.register(conn.sock, select.POLLIN)
    return bool(waiting.poll(NEXT_REQUEST_MS))


def _whole(conn: gthread.TConn, begun: bytes, length: int) -> bytes | None:
    """Return the body of `length` bytes that starts with `begun`; None if the client disconnects before its end."""
    parts = [begun]
    missing = length - len(begun)
    while missing:
        part = conn.sock.recv(missing)
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)

"""gunicorn's threaded worker, adapted to few and busy connections, as Nginx keeps them.

It differs in three ways. An answer leaves in one write, so that a worker that dies leaves no half of one: Nginx asks
another worker only as long as it has received nothing. A thread stays with its connection while the next request comes
soon. The most common request, one image to /predict, takes the fast path: after an inference all code has left the
processor's caches, and each line that a request runs through costs time.
"""

import select
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers import gthread

from worker.api import fast_path

NEXT_REQUEST_MS = 20  # how long a thread waits for its connection's next request; a busy client sends it in one
READ_BYTES = 128 * 1024


class WholeAnswer(wsgi.Response):
    """gunicorn's response, its headers held back until the first of the body leaves with them."""

    held = b""

    def send_headers(self) -> None:
        if not self.headers_sent:  # type: ignore[has-type]
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
            self.held, self.headers_sent = "".join(lines).encode("latin-1"), True

    def can_sendfile(self) -> bool:
        return False  # it would overtake what is held

    def _emit_body(self, data: bytes) -> None:
        self._send(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    def close(self) -> None:
        self.send_headers()
        self._send(b"0\r\n\r\n" if self.chunked else b"")

    def _send(self, data: bytes) -> None:
        head, self.held = self.held, b""
        util.write(self.sock, head + data)


class PredictWorker(gthread.ThreadWorker):
    """The worker class that gunicorn.conf.py names; `self.wsgi` is worker.app's application."""

    def handle(self, conn: gthread.TConn) -> Any:
        """Answer the requests of `conn` until none comes for a while; return what gunicorn's own method does."""
        keep = self._next(conn) if _readable(conn) else super().handle(conn)
        # With more connections than threads, one that waits here would have another wait for its turn.
        while keep is True and self.alive and self.nr_conns <= self.cfg.threads and _readable(conn):
            keep = self._next(conn)
        return keep

    def handle_request(self, req: Any, conn: gthread.TConn) -> bool:
        """Do as gunicorn does, with whole answers, without the hooks and limits that gunicorn.conf.py does not set."""
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

    def _next(self, conn: gthread.TConn) -> Any:
        """Answer the request that has come, on the fast path or by Flask; return whether to keep the connection."""
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
                conn.parser.unreader.unread(data[: request.head] + body)
                return super().handle(conn)
            keep = self._may_keep()
            conn.sock.sendall(fast_path.answer(self.wsgi.extensions["service"], request.client_id, image, keep))
        except OSError:  # the client went away
            return False
        return keep

    def _may_keep(self) -> bool:
        return bool(self.alive and len(self.keepalived_conns) < self.max_keepalived)


def _readable(conn: gthread.TConn) -> bool:
    """Return whether the next bytes of `conn` come within NEXT_REQUEST_MS; False if gunicorn has read them already."""
    if conn.initialized and conn.parser.unreader.buf.getbuffer().nbytes:
        return False
    waiting = select.poll()
    waiting.register(conn.sock, select.POLLIN)
    return bool(waiting.poll(NEXT_REQUEST_MS))


def _whole(conn: gthread.TConn, begun: bytes, length: int) -> bytes | None:
    """Return the body of `length` bytes that starts with `begun`; None when the client leaves before its end."""
    parts = [begun]
    missing = length - len(begun)
    while missing:
        part = conn.sock.recv(missing)
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)

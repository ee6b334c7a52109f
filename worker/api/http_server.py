"""gunicorn's threaded worker, adapted to a few busy connections, as Nginx keeps them open.

It differs in two ways. It sends an answer in one write, so that a worker that dies leaves no half answer: Nginx tries
another worker only if it has received nothing. A thread stays with its connection while the next request follows soon.
"""

import select
import time
from functools import lru_cache
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers import gthread

from worker.contract.limits import MAX_QUOTED_CHARACTERS

NEXT_REQUEST_MS = 20  # how long a thread waits for its connection's next request; a busy client sends it within 1 ms


class WholeAnswer(wsgi.Response):
    """gunicorn's response, with the headers held back and sent together with the first part of the body."""

    held = b""

    def default_headers(self) -> list[str]:
        """Return gunicorn's own, with a date that is formatted once a second instead of for every answer."""
        major, minor = self.req.version
        found = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Server: {self.version}\r\n",
            f"Date: {_date(int(time.time()))}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
        ]
        return [*found, "Transfer-Encoding: chunked\r\n"] if self.chunked else found

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


class PredictWorker(gthread.ThreadWorker):
    """The worker class named in gunicorn.conf.py; `self.wsgi` is the application of worker.app."""

    def handle(self, conn: gthread.TConn) -> Any:
        """Answer the requests on `conn` until none follows soon; return what gunicorn's own method returns."""
        keep = super().handle(conn)
        # With more connections than threads, waiting here would delay another connection.
        while keep is True and self.alive and self.nr_conns <= self.cfg.threads and _readable(conn):
            keep = super().handle(conn)
        return keep

    def handle_request(self, req: Any, conn: gthread.TConn) -> bool:
        """Do what gunicorn's method does, in whole answers; leave out hooks and limits that the settings do not use."""
        response, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg, WholeAnswer)
        environ["wsgi.multithread"] = True
        if not self.alive or len(self.keepalived_conns) >= self.max_keepalived:
            response.force_close()
        answer = self.wsgi(environ, response.start_response)
        try:
            for part in answer:
                response.write(part)
            response.close()
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return not response.should_close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Do what gunicorn's method does, but quote little: its errors of HTTP hold whole lines of the request."""
        for name, value in list(vars(exc).items()):
            if isinstance(value, str | bytes):
                setattr(exc, name, value[:MAX_QUOTED_CHARACTERS])
        super().handle_error(req, client, addr, exc)


def _readable(conn: gthread.TConn) -> bool:
    """Return whether bytes arrive on `conn` within NEXT_REQUEST_MS, or gunicorn has buffered some already."""
    if conn.parser.unreader.buf.getbuffer().nbytes:
        return True
    waiting = select.poll()
    waiting.register(conn.sock, select.POLLIN)
    return bool(waiting.poll(NEXT_REQUEST_MS))


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return str(util.http_date(seconds))

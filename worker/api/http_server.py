"""gunicorn's threaded worker, adapted to a few busy connections, as Nginx keeps them open.

It differs in three ways. It shows that it is alive while it loads the application. It sends an answer in one write, so
that a worker that dies leaves no half answer: Nginx tries another worker only if it has received nothing. A thread
stays with its connection while the next request follows soon, but not after a GET: probes come a second apart.
"""

import select
import threading
import time
from functools import lru_cache
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers import gthread

from worker.contract.limits import MAX_QUOTED_CHARACTERS

BEAT_S = 1.0  # between two signs of life while the application is loaded
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
        if whole := self.held + data:
            self.held = b""
            util.write(self.sock, whole)


class PredictWorker(gthread.ThreadWorker):
    """The worker class named in gunicorn.conf.py; `self.wsgi` is the application of worker.app."""

    def init_process(self) -> None:
        """Let every setting be an attribute: gunicorn looks up twenty for a request, each through two calls."""
        self.cfg.__dict__.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, and show meanwhile that this process is alive: gunicorn kills one that does not.

        A busy machine takes longer to load it than gunicorn waits. A frozen process shows nothing, nor do its threads.
        """
        loaded = threading.Event()

        def beat() -> None:
            while not loaded.wait(BEAT_S):
                self.notify()

        thread = threading.Thread(target=beat, name="beat", daemon=True)
        thread.start()
        try:
            super().load_wsgi()
        finally:
            loaded.set()
            thread.join()

    def handle_request(self, req: Any, conn: gthread.TConn) -> bool:
        """Answer `req` and the requests that soon follow it on `conn`; return whether to keep the connection."""
        while keep := self._keepalive_after(conn, self._answer(req, conn)):
            # With more connections than threads, waiting here would delay another connection.
            if self.nr_conns > self.cfg.threads or not _readable(conn, 0 if req.method == "GET" else NEXT_REQUEST_MS):
                break
            req = next(conn.parser)
        return keep

    def _answer(self, req: Any, conn: gthread.TConn) -> bool:
        """Do what gunicorn's method does for one request, in whole answers, without the hooks and limits not used."""
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


def _readable(conn: gthread.TConn, within_ms: int) -> bool:
    """Return whether bytes arrive on `conn` within that time, or gunicorn has buffered some already."""
    if conn.parser.unreader.buf.getbuffer().nbytes:
        return True
    waiting = select.poll()
    waiting.register(conn.sock, select.POLLIN)
    return bool(waiting.poll(within_ms))


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return str(util.http_date(seconds))

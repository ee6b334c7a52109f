"""A tiny real HTTP server that returns fixed answers."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """A server for clients that connect at the same time: where only 5 wait, a busy machine resets the others."""

    request_queue_size = 128
    daemon_threads = True


@dataclass
class Answers:
    """The server's port, and the requests that it received: method and path, headers, body."""

    port: int
    requests: list[tuple[str, Message, bytes]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def answering(answers: Mapping[str, tuple[int, bytes] | bytes]) -> Iterator[Answers]:
    """Serve `answers`: for each path a status and body, or raw bytes to write unchanged; 404 for any other path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server_state.requests.append((f"{self.command} {self.path}", self.headers, body))
            answer = answers.get(self.path, (404, b""))
            if isinstance(answer, bytes):
                self.wfile.write(answer)
                return
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server_state = Answers(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server_state
        finally:
            server.shutdown()
            thread.join()

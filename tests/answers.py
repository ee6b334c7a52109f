"""A tiny real HTTP server that gives the answers it was told."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answers:
    """Where it listens, and what it was asked: method and path, headers, body."""

    port: int
    asked: list[tuple[str, Message, bytes]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def answering(answers: Mapping[str, tuple[int, bytes] | bytes]) -> Iterator[Answers]:
    """Answer each path with its status and body, or with bytes as they are; a path that is not there is 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            served.asked.append((f"{self.command} {self.path}", self.headers, body))
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

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = Answers(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()

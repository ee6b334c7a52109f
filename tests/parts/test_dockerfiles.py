"""The image descriptions: what in them must agree with other files, and their health checks, run for real."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.unit.test_dockerfiles import GATEWAY, WORKER, arguments

ROOT = Path(__file__).parents[2]


# --- Health checks ----------------------------------------------------------------------------------------------


class Answerer(BaseHTTPRequestHandler):
    def __init__(self, status: HTTPStatus, asked: list[str], *rest: object) -> None:
        self.status, self.asked = status, asked
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"its own words")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def answering(status: HTTPStatus, asked: list[str]) -> Iterator[str]:
    """A server that answers `status`; yields its address."""
    with HTTPServer(("127.0.0.1", 0), partial(Answerer, status, asked)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def check(dockerfile: str, address: str) -> subprocess.CompletedProcess[str]:
    """Run the image's health check here; the gateway's own port becomes that of `address`."""
    [line] = arguments(dockerfile, "HEALTHCHECK")
    *command, program = json.loads(line.partition(" CMD ")[2])
    program = program.replace("127.0.0.1/8079", address.replace(":", "/"))
    environ = {"PATH": os.environ["PATH"], "WANWU_BIND": address.replace("127.0.0.1", "0.0.0.0")}
    return subprocess.run([*command, program], capture_output=True, text=True, env=environ)


@pytest.mark.parametrize(("dockerfile", "path"), [(WORKER, "/readyz"), (GATEWAY, "/livez")])
@pytest.mark.parametrize(("status", "exit_status"), [(HTTPStatus.OK, 0), (HTTPStatus.SERVICE_UNAVAILABLE, 1)])
def test_an_image_is_healthy_when_the_answer_is_200(
    dockerfile: str, path: str, status: HTTPStatus, exit_status: int
) -> None:
    asked: list[str] = []
    with answering(status, asked) as address:
        done = check(dockerfile, address)
    assert (done.returncode, done.stdout, asked) == (exit_status, "its own words", [path])


@pytest.mark.parametrize("dockerfile", [WORKER, GATEWAY])
def test_an_image_is_not_healthy_when_nobody_answers(dockerfile: str) -> None:
    with answering(HTTPStatus.OK, []) as address:
        pass
    assert check(dockerfile, address).returncode == 1

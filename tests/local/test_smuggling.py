"""Requests that two parsers could read differently, over raw sockets: one real Nginx before one real worker.

Whatever Nginx takes, the worker must read as the same one request: never as another one, and never as two.
"""

import json
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from scripts.cluster.config import ROOT
from scripts.cluster.schema import Tls
from scripts.host import authority, certificates
from tests.local.gateway_harness import Gateway, ask
from tests.local.worker_harness import WorkerProcess, running
from tests.wait import TIMEOUT_S, until

CAT = (ROOT / "worker/photos/golden/cat.jpg").read_bytes()
JPEG = CAT[:3]  # as every golden image of this model begins
PHOTOS = ROOT / "worker/photos"
HIDDEN = b"GET /golden HTTP/1.1\r\nHost: a\r\n\r\n"  # what only the worker would answer with 200
REFUSED = {400, 501}


@dataclass
class Pair:
    """The gateway, over HTTP and HTTPS, and the worker behind it."""

    gateway: Gateway
    worker: WorkerProcess
    tls: ssl.SSLContext
    tls_port: int

    def exchange(self, data: bytes, tls: bool) -> bytes:
        """Return all that is answered to `data` until the gateway closes the connection."""
        port = self.tls_port if tls else self.gateway.port
        plain = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        with self.tls.wrap_socket(plain, server_hostname="127.0.0.1") if tls else plain as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: received(connection), b""))


def received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except ConnectionResetError:  # closed with data of ours unread
        return b""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    home, folder = tmp_path_factory.mktemp("pair"), tmp_path_factory.mktemp("tls")
    authority.make(folder, [], ())
    pem = certificates.read(Tls(True, folder / "server.crt", folder / "server.key")).pem
    with running(PHOTOS, home / "worker.log", MODEL="photos", WORKER="photos-0") as worker:
        gateway = Gateway(home, {"photos": ["photos-0"]}, options={"tls": {"hsts_days": 0}})
        with gateway:
            gateway.workers["photos-0"].close()
            gateway.workers["photos-0"].port = worker.port
            gateway.write_members()
            gateway.write_pem(pem)
            listen = home / "rendered/listen.conf"
            tls_port = gateway.port + 1
            listen.write_text(f"{listen.read_text()}listen 127.0.0.1:{tls_port} ssl;\n")
            context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
            yield Pair(gateway.start(), worker, context, tls_port)


@dataclass
class Shape:
    """A request line, headers and body, and the statuses that may answer it; the rest of the connection is theirs, too.

    `whole`, if there is one, replaces the three.
    """

    name: str
    headers: list[bytes] = field(default_factory=list)
    body: bytes = b""
    statuses: set[int] = field(default_factory=lambda: REFUSED)
    line: bytes = b"POST /predict HTTP/1.1"
    host: bytes = b"Host: a"
    whole: bytes = b""

    def data(self) -> bytes:
        lines = [self.line, *([self.host] if self.host else []), *self.headers, b"", b""]
        return self.whole or b"\r\n".join(lines) + self.body


LENGTH = b"Content-Length: %d" % len(HIDDEN)
CHUNKED = b"Transfer-Encoding: chunked"
END = b"0\r\n\r\n"
CLOSE = b"Connection: close"
ONE = b"%x\r\n" % len(CAT) + CAT + b"\r\n" + END
SHAPES = [
    # Two lengths of one body.
    Shape("CL and TE", [LENGTH, CHUNKED], END + HIDDEN),
    Shape("TE and CL", [CHUNKED, LENGTH], END + HIDDEN),
    Shape("two CL that differ", [LENGTH, b"Content-Length: 0"], HIDDEN),
    Shape("two CL alike", [LENGTH, LENGTH], HIDDEN),
    Shape("CL with a list", [b"Content-Length: 0, %d" % len(HIDDEN)], HIDDEN),
    *(
        Shape(f"CL {value!r}", [b"Content-Length: " + value], HIDDEN)
        for value in (b"+5", b"-1", b"0x5", b"5 5", b"5;", b"5.0", b"", b"1_0", b"\xef\xbc\x95", b"9" * 30, b"\x0b5")
    ),
    # Transfer-Encoding that one parser may not see.
    *(
        Shape(f"TE {value!r}", [b"Transfer-Encoding:" + value, LENGTH], END + HIDDEN)
        for value in (
            *(b" xchunked", b" chunked, identity", b" identity, chunked", b" chunked;q=1", b'"chunked"', b" gzip"),
            *(b"\tchunked", b" chunked\x0b", b"\x0bchunked", b" chunked ", b" CHUNKED", b" chunke", b" , chunked"),
        )
    ),
    Shape("two TE", [CHUNKED, b"Transfer-Encoding: identity"], END + HIDDEN),
    Shape("TE in a folded line", [b"X: a\r\n Transfer-Encoding: chunked", LENGTH], HIDDEN),
    Shape("folded TE", [b"Transfer-Encoding:\r\n chunked", LENGTH], END + HIDDEN),
    Shape("space before the colon of TE", [b"Transfer-Encoding : chunked", LENGTH], END + HIDDEN),
    Shape("space before the colon of CL", [b"Content-Length : 0"], HIDDEN),
    Shape("space before a name", [b" Content-Length: 0"], HIDDEN),
    Shape("NUL in a name", [b"Transfer\x00Encoding: chunked", LENGTH], HIDDEN),
    Shape("NUL in a value", [b"X: a\x00b", LENGTH], HIDDEN),
    Shape("bare CR in a value", [b"X: a\rTransfer-Encoding: chunked", LENGTH], HIDDEN),
    Shape("no colon", [b"Transfer-Encoding"], HIDDEN),
    Shape("no name", [b": chunked"], HIDDEN),
    Shape("TE with HTTP/1.0", [CHUNKED], END + HIDDEN, line=b"POST /predict HTTP/1.0"),
    # Chunks.
    *(
        Shape(f"chunk size {size!r}", [CHUNKED], size + b"\r\n" + b"a" * 5 + b"\r\n" + END)
        for size in (b"-5", b"+5", b"0x5", b"g", b"", b"f" * 17, b" 5")
    ),
    Shape("chunk longer than its size", [CHUNKED], b"2\r\nabcde\r\n" + END),
    # The host.
    Shape("two Hosts", [b"Host: b"]),
    Shape("no Host", host=b""),
    *(
        Shape(f"Host {value!r}", host=b"Host: " + value)
        for value in (b"a/b", b"a b", b"a\x00", b"a..b", b"", b"a\tb")
    ),
    Shape("address with credentials", line=b"GET http://a@b/livez HTTP/1.1", host=b"Host: a"),
    # The request line.
    Shape("tab in the line", line=b"GET\t/livez\tHTTP/1.1"),
    Shape("lower-case version", line=b"GET /livez http/1.1"),
    Shape("NUL in the address", line=b"GET /livez\x00 HTTP/1.1"),
    Shape("address with %00", line=b"GET /livez%00 HTTP/1.1"),
    Shape("above the root", line=b"GET /../golden HTTP/1.1"),
    Shape("above the root, encoded", line=b"GET /%2e%2e/%2e%2e/golden HTTP/1.1"),
    Shape("address that begins with @", line=b"GET @evil/golden HTTP/1.1"),
    Shape("method with a colon", line=b"GE:T /livez HTTP/1.1"),
    Shape("CONNECT", line=b"CONNECT 127.0.0.1:80 HTTP/1.1", statuses={400, 405}),
    Shape("TRACE", line=b"TRACE / HTTP/1.1", statuses={405}),
    Shape("asterisk", line=b"OPTIONS * HTTP/1.1", statuses={400}),
    Shape("HTTP/2's preface", whole=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", statuses={400, 505}),
    Shape("HTTP/0.9", whole=b"GET /golden\r\n", statuses={0, 400}),
]  # fmt: skip
# What is a proper request after all: it is answered as one, and nothing of it is read as another.
HARMLESS = [
    Shape("absolute address", [CLOSE], line=b"GET http://a/models HTTP/1.1", statuses={200}),
    Shape("absolute address of the workers' image", [CLOSE], line=b"GET http://a/golden HTTP/1.1", statuses={404}),
    *(
        Shape(f"a way to /golden {path!r}", [CLOSE], line=b"GET " + path + b" HTTP/1.1", statuses={400, 404})
        for path in (b"/golden", b"/..%2fgolden", b"/v2/..%2f..%2fgolden", b"/v2/models/photos/../../../golden",
                     b"/v2/..;/golden", b"//golden", b"/./golden", b"/%67olden", b"/golden/", b"/golden%20",
                     b"/predictions/photos/..%2f..%2fgolden", b"/models/photos/examples/..%2f..%2f..%2f..%2fgolden",
                     b"/v2/models/photos/%2e%2e/%2e%2e/%2e%2e/golden", b"/v2\\..\\golden")
    ),
    Shape("h2c", [b"Connection: Upgrade, HTTP2-Settings, close", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"],
          line=b"GET /v2 HTTP/1.1", statuses={200}),
    Shape("websocket", [b"Connection: Upgrade, close", b"Upgrade: websocket"], b"", {200}, b"GET /v2 HTTP/1.1"),
    Shape("hop-by-hop names", [b"Connection: close, X-Forwarded-For, Content-Length", LENGTH], HIDDEN, {415}),
    Shape("headers of earlier proxies", [CLOSE, b"X-Forwarded-Host: evil", b"X-Original-URL: /golden",
          b"X-Rewrite-URL: /golden", b"X-HTTP-Method-Override: DELETE"], line=b"GET /v2 HTTP/1.1", statuses={200}),
    Shape("names with an underscore", [CLOSE, b"Content_Length: 999", b"Transfer_Encoding: chunked"],
          line=b"GET /v2 HTTP/1.1", statuses={200}),
    Shape("internal redirect", [CLOSE, b"X-Accel-Redirect: @body_model"], line=b"GET /v2 HTTP/1.1", statuses={200}),
    Shape("LF alone", whole=b"GET /v2 HTTP/1.1\nHost: a\nConnection: close\n\n", statuses={200}),
    Shape("empty lines before", [CLOSE], line=b"\r\n\r\nGET /v2 HTTP/1.1", statuses={200}),
    Shape("half an address as the host", [CLOSE], host=b"Host: [::1", statuses={421}),
    Shape("a chunk whose size has two parts", [CLOSE, CHUNKED], b"5 5\r\nimage\r\n" + END, {415}),
    Shape("a hidden request in a body", [CLOSE, LENGTH], HIDDEN, {415}),
    Shape("a hidden request in a chunk", [CLOSE, CHUNKED], b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n" + END, {415}),
    Shape("a length in a trailer", [CLOSE, CHUNKED], ONE[:-2] + b"X: y\r\nContent-Length: 9\r\n\r\n", {200, 400}),
    Shape("a chunk with an extension", [CLOSE, CHUNKED], ONE.replace(b"\r\n", b";a=\"b\"\r\n", 1), {200, 400}),
    Shape("a body of GET", [CLOSE, LENGTH], HIDDEN, {200}, b"GET /v2 HTTP/1.1"),
    Shape("CL with zeros", [CLOSE, b"Content-Length: 000%d" % len(HIDDEN)], HIDDEN, {415}),
]  # fmt: skip


def statuses(text: bytes) -> list[int]:
    """Return the statuses of the answers on a connection; an answer without a status line is 0."""
    found = [int(one) for one in re.findall(rb"HTTP/1\.[01] (\d{3})[ \r]", text)]
    return found or [0]


@pytest.fixture(autouse=True)
def victim(pair: Pair, request: pytest.FixtureRequest) -> Iterator[None]:
    """After each request, the next one of someone else gets its own answer, and the worker has given nothing away."""
    yield
    if "pair" in request.fixturenames:
        reply = pair.gateway.ask("POST", "/predict?top_k=1", CAT, {"Content-Type": "image/jpeg"})
        assert (reply.status, reply.json["predictions"][0]["index"]) == (200, 285)


def only_answer(pair: Pair, shape: Shape, tls: bool) -> bytes:
    """All that comes back for the shape: one answer, with a status that it may have."""
    text = pair.exchange(shape.data(), tls)
    found = statuses(text)
    assert (len(found), found[0] in shape.statuses) == (1, True), text[:300]
    return text


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_what_can_be_read_in_two_ways_is_refused_and_ends_the_connection(pair: Pair, shape: Shape, tls: bool) -> None:
    assert JPEG not in only_answer(pair, shape, tls)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("shape", HARMLESS, ids=lambda shape: shape.name)
def test_what_is_one_request_is_answered_as_one(pair: Pair, shape: Shape, tls: bool) -> None:
    assert JPEG not in only_answer(pair, shape, tls)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_requests_behind_each_other_are_answered_in_their_order(pair: Pair, tls: bool) -> None:
    image = b"POST /predict?top_k=1 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(CAT) + CAT
    wrong = b"GET /golden HTTP/1.1\r\nHost: a\r\n\r\n"
    short = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nimage"  # and what follows is the next
    last = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    text = pair.exchange(image + wrong + image + short + wrong + last, tls)
    assert statuses(text) == [200, 404, 200, 415, 404, 200]


def test_every_line_of_the_access_log_is_json_and_no_worker_ended(pair: Pair) -> None:
    pair.exchange(b'GET /"\\\x01\xff HTTP/1.1\r\nHost: "\r\n\r\n', tls=False)
    assert until("the log", lambda: pair.gateway.access_log())
    for line in (pair.gateway.home / "nginx.log").read_text().splitlines():
        json.loads(line)
    assert ask(pair.worker.port, "GET", "/readyz").status == 200
    assert pair.worker.process.poll() is None

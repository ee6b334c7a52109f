"""What the gateway refuses itself."""

import pytest

from tests.local.gateway.traffic import HEAD, IMAGE
from tests.local.gateway_harness import Gateway, ask_raw


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nope", 'route "/nope"'),
        ("/models/photos/x?y=1", 'route "/models/photos/x"'),
        ("/models/", 'route "/models/"'),
        ("/web/", 'route "/web/"'),
        ("/_error", 'route "/_error"'),
        ("/ready.json", 'route "/ready.json"'),
        ("/golden", 'route "/golden"'),
        ("/%22%7D", "an unknown route"),
    ],
)
def test_an_unknown_route_is_404(gateway: Gateway, path: str, said: str) -> None:
    reply = gateway.ask("GET", path)
    assert reply.status == 404
    assert reply.error["code"] == "unknown_route"
    assert reply.error["message"].startswith(f"found {said}, ")


@pytest.mark.parametrize(
    "path", ["/", "/app.js", "/livez", "/readyz", "/status", "/metrics", "/v2/health/live", "/v2/health/ready"]
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_wrong_method_is_405_and_says_which_are_right(gateway: Gateway, method: str, path: str) -> None:
    reply = gateway.ask(method, path, IMAGE)
    assert (reply.status, reply.all("Allow")) == (405, ["GET, HEAD"])
    assert reply.error["code"] == "method_not_allowed"
    assert method in reply.error["message"]


@pytest.mark.parametrize(
    ("request_text", "status", "code"),
    [
        (HEAD + b"Content-Length: 33554433\r\n\r\n", 413, "body_too_large"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2000001\r\n" + bytes(0x2000001), 413, "body_too_large"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri_too_long"),
        (HEAD + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (HEAD + b"Content-Length: x\r\n\r\n", 400, "bad_request"),
        (HEAD + b"no colon\r\n\r\n", 400, "bad_request"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "bad_request"),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501, "unknown_encoding"),
        (b"POST /predict HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GARBAGE\r\n\r\n", 400, "bad_request"),
        (b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "unknown_version"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nIf-Match: x\r\n\r\n", 412, "refused"),
    ],
)
def test_malformed_requests_are_refused_in_the_same_json(
    gateway: Gateway, request_text: bytes, status: int, code: str
) -> None:
    reply = ask_raw(gateway.port, request_text)
    assert (reply.status, reply.error["code"]) == (status, code)

"""What the gateway answers itself: the page, health, status; and what it writes meanwhile."""

import socket

import pytest

from nginx.gate.rates import SLOT_S, SLOTS
from tests.local.gateway.traffic import HEAD, IMAGE
from tests.local.gateway_harness import ROOT, Gateway


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        ("/", "text/html; charset=utf-8", b"<p>page"),
        ("/app.js", "text/javascript; charset=utf-8", b"1"),
        ("/style.css", "text/css; charset=utf-8", b"p {}"),
    ],
)
def test_the_web_page_and_its_files_are_served(gateway: Gateway, path: str, content_type: str, body: bytes) -> None:
    reply = gateway.ask("GET", path)
    assert (reply.status, reply.header("Content-Type"), reply.body) == (200, content_type, body)
    assert reply.header("X-Content-Type-Options") == "nosniff"
    assert reply.header("Cache-Control") == "no-cache"


def test_the_page_may_load_nothing_from_outside(gateway: Gateway) -> None:
    assert gateway.ask("GET", "/").header("Content-Security-Policy") == (
        "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; frame-ancestors 'none'"
    )


def test_the_real_page_is_allowed_by_its_own_policy() -> None:
    page = (ROOT / "nginx/web/index.html").read_text()
    assert " style=" not in page
    assert "<style" not in page
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/livez", {"status": "alive"}),
        ("/v2/health/live", {"live": True}),
    ],
)
def test_health_is_answered_as_json(gateway: Gateway, path: str, body: object) -> None:
    reply = gateway.ask("GET", path)
    assert (reply.status, reply.json) == (200, body)
    assert reply.all("Content-Type") == ["application/json"]
    assert reply.all("Cache-Control") == ["no-store"]


@pytest.mark.parametrize("path", ["/readyz", "/v2/health/ready", "/readyz?model=photos", "/readyz?model=other"])
def test_readiness_says_when_it_was_reported(gateway: Gateway, path: str) -> None:
    as_of = gateway.ask("GET", "/status").json["as_of"]
    reply = gateway.ask("GET", path)
    assert (reply.status, reply.json["ready"], reply.header("Cache-Control")) == (200, True, "no-store")
    assert reply.json.keys() == {"ready", "as_of"}
    assert reply.json["as_of"] >= as_of


@pytest.mark.parametrize("name", ["x", "..", "photos/", "pool_photos", "%2e%2e%2fready"])
def test_readiness_of_an_unknown_model_is_404(gateway: Gateway, name: str) -> None:
    reply = gateway.ask("GET", f"/readyz?model={name}")
    assert (reply.status, reply.error["code"]) == (404, "unknown_model")


NO_REQUESTS = {"images_per_s": 0, "p50_ms": None, "p99_ms": None, "step_s": SLOT_S, "images": [0] * SLOTS}


def test_status_says_what_every_worker_said(gateway: Gateway) -> None:
    reply = gateway.ask("GET", "/status")
    assert reply.all("Cache-Control") == ["no-store"]
    assert reply.json["models"] == [
        {"name": "photos", "ready": True, "reason": None, "workers_in": 2, "workers": 2, "recent": NO_REQUESTS},
        {"name": "other", "ready": True, "reason": None, "workers_in": 1, "workers": 1, "recent": NO_REQUESTS},
    ]
    worker = reply.json["workers"][2]
    assert worker.pop("since") <= reply.json["as_of"]
    assert worker == {
        "worker": "other-0",
        "server": "this",
        "slot": "slot-of-other-0",
        "model": "other",
        "in": True,
        "state": "ready",
        "reason": None,
        "cpus": None,
        "gpu": None,
        "version": "1",
        "engine": "openvino",
        "precision": "f32",
        "in_flight": 0,
        "queued": 0,
    }


def test_the_access_log_is_json_and_says_which_worker_answered(gateway: Gateway) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    gateway.ask("POST", '/predict?x="', IMAGE, {"X-Request-ID": "passed", "traceparent": parent})
    gateway.ask("POST", "/livez", IMAGE, {"X-Request-ID": "refused"})
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(HEAD + b"X-Request-ID: aborted\r\nContent-Length: 9\r\n\r\nno")
    passed, refused, aborted = (gateway.logged(request_id) for request_id in ("passed", "refused", "aborted"))
    ports = [gateway.workers[name].port for name in gateway.pools["photos"]]
    assert passed["upstream"] in [f"127.0.0.1:{port}" for port in ports]
    assert (passed["uri"], passed["status"], passed["upstream_status"]) == ('/predict?x="', 200, "200")
    assert set(passed) == {
        "time", "request_id", "traceparent", "client", "key", "scheme", "host", "method", "uri", "status", "bytes_in",
        "bytes", "bytes_out", "request_time", "upstream", "upstream_status", "upstream_connect_time",
        "upstream_header_time", "upstream_time", "connection",
    }  # fmt: skip
    assert (passed["traceparent"], aborted["traceparent"]) == (parent, "")
    assert (passed["client"], passed["scheme"], passed["host"]) == ("127.0.0.1", "http", "127.0.0.1")
    assert passed["bytes_in"] > len(IMAGE)
    assert passed["bytes_out"] > passed["bytes"] > 0
    assert (refused["method"], refused["status"], refused["upstream"]) == ("POST", 405, "")
    assert (aborted["status"], aborted["bytes"]) == (400, 0)


def test_everything_nginx_writes_lies_in_its_folder(gateway: Gateway) -> None:
    assert (gateway.home / "tmp/nginx.pid").read_text().strip().isdigit()
    assert {path.name for path in (gateway.home / "tmp").iterdir()} == {
        "nginx.pid",
        "access.log",
        "error.log",
        "client_body",
        "proxy",
        "fastcgi",
        "uwsgi",
        "scgi",
    }

"""Who may ask under which name, and what the log says of them: real Nginx, several addresses of this machine."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.gateway_harness import Gateway, ask_raw

POOLS = {"photos": ["photos-0"]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    access = {"hosts": ["ai.example.org", "*.example.net"], "trusted_proxies": ["127.0.0.9"], "anonymise": True}
    with Gateway(tmp_path_factory.mktemp("access"), POOLS, options={"access": access}) as gateway:
        (gateway.home / "web/index.html").write_text("<p>page")
        yield gateway.start()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:8080", "[::1]:1", "gpu1", "AI.Example.org:80", "a.b.example.net", "gpu1.local"]
)
def test_the_service_is_asked_under_its_own_names(gateway: Gateway, host: str) -> None:
    for path in ("/status", "/", "/v2"):
        assert gateway.ask("GET", path, headers={"Host": host}).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "x.ai.example.org", "127.0.0.1.nip.io"])
@pytest.mark.parametrize("path", ["/", "/status", "/predict", "/livez", "/v2/models/photos", "/nope"])
def test_a_page_of_another_site_gets_nothing_by_rebinding_its_name(gateway: Gateway, host: str, path: str) -> None:
    met = len(gateway.workers["photos-0"].met())
    for method in ("GET", "POST", "OPTIONS"):
        asked = {"Access-Control-Request-Method": "POST", "Origin": f"http://{host}"} if method == "OPTIONS" else {}
        reply = gateway.ask(method, path, headers={"Host": host, **asked})
        assert (reply.status, reply.error["code"]) == (421, "foreign_host")
    assert len(gateway.workers["photos-0"].met()) == met


def test_a_request_without_a_name_is_answered(gateway: Gateway) -> None:
    assert ask_raw(gateway.port, b"GET /livez HTTP/1.0\r\n\r\n").status == 200


def test_pages_and_answers_say_how_they_may_be_used(gateway: Gateway) -> None:
    page, answer = gateway.ask("GET", "/"), gateway.ask("GET", "/status")
    assert page.all("Referrer-Policy") == ["same-origin"]
    assert "camera=()" in (page.header("Permissions-Policy") or "")
    for reply in (page, answer, gateway.ask("GET", "/nope"), gateway.ask("GET", "/v2")):
        assert reply.all("Cross-Origin-Resource-Policy") == ["same-origin"]
    assert answer.all("Referrer-Policy") == answer.all("Permissions-Policy") == []


@pytest.mark.parametrize(
    ("source", "claimed", "seen"),
    [
        ("127.0.0.9", "203.0.113.77", "203.0.113.77"),
        ("127.0.0.9", "6.6.6.6, 203.0.113.77, 127.0.0.9", "203.0.113.77"),  # the last that no trusted proxy wrote
        ("127.0.0.9", "2001:db8:1:2::3", "2001:db8:1:2::3"),
        ("127.0.0.9", "nonsense", "127.0.0.9"),
        ("127.0.0.5", "203.0.113.77", "127.0.0.5"),
    ],
)
def test_only_trusted_proxies_say_who_the_client_is_and_the_log_keeps_its_network(
    gateway: Gateway, source: str, claimed: str, seen: str
) -> None:
    mine = f"{source}-{claimed}".replace(", ", "-").replace(":", ".")
    with socket.create_connection(("127.0.0.1", gateway.port), 60, (source, 0)) as connection:
        head = f"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: {claimed}\r\nX-Request-ID: {mine}"
        connection.sendall(f"{head}\r\n\r\n".encode())
        text = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    headers = json.loads(text.partition(b"\r\n\r\n")[2])["headers"]
    assert ["x-forwarded-for", seen] in headers
    kept = f"{seen.rpartition('.')[0]}.0" if "." in seen else "2001:db8:1::"
    assert gateway.logged(mine)["client"] == kept


@pytest.mark.parametrize(
    ("address", "kept"),
    [("2001:db8::1", "2001:db8::"), ("2001::a:b:c", "2001::"), ("::1", "::"), ("2001:db8:a:b:c:d:e:f", "2001:db8:a::")],
)
def test_addresses_of_ipv6_lose_all_but_48_bits(gateway: Gateway, address: str, kept: str) -> None:
    mine = address.replace(":", ".")
    with socket.create_connection(("127.0.0.1", gateway.port), 60, ("127.0.0.9", 0)) as connection:
        head = f"GET /v2 HTTP/1.0\r\nX-Forwarded-For: {address}\r\nX-Request-ID: {mine}\r\n\r\n"
        connection.sendall(head.encode())
        connection.recv(1 << 16)
    assert gateway.logged(mine)["client"] == kept


def test_names_are_not_checked_at_addresses_that_others_reach_unless_they_are_listed(tmp_path: Path) -> None:
    with Gateway(tmp_path, POOLS, options={"access": {"check_hosts": "nowhere"}}) as own:
        own.start()
        assert own.ask("GET", "/status", headers={"Host": "classify.corp.example"}).status == 200

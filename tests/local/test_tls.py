"""TLS at the gateway: real Nginx and gate, a certificate that `make cert` would make, and the clients of the world."""

import http.client
import ssl
import subprocess
from _ssl import _test_decode_cert  # type: ignore[attr-defined]
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from scripts.base.errors import CommandError
from scripts.client.direct import DirectTransport
from scripts.client.wanwu_client import Client, UnexpectedAnswerError, UnreachableError
from scripts.cluster.schema import Tls
from scripts.host import authority, certificates
from tests.local.gateway_harness import Gateway, ask_raw, trusting
from tests.wait import until

POOLS = {"photos": ["photos-0"]}
END = "wanwu_gateway_certificate_end_timestamp_seconds"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make cert HOSTS=gpu1.lan` leaves."""
    path = tmp_path_factory.mktemp("certificates")
    authority.make(path, ["gpu1.lan"], ())
    return path


def pem(folder: Path) -> str:
    return certificates.read(Tls(True, folder / "server.crt", folder / "server.key")).pem


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Gateway]:
    options = {"tls": {"hsts_days": 2}}
    with Gateway(tmp_path_factory.mktemp("tls"), POOLS, options=options, pem=pem(folder)) as gateway:
        yield gateway.start()


@pytest.fixture
def url(gateway: Gateway) -> str:
    return f"https://127.0.0.1:{gateway.port}"


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["curl", "--silent", "--show-error", *arguments], capture_output=True, text=True)


def handshake(gateway: Gateway, *options: str) -> str:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port}", *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


# --- Clients ------------------------------------------------------------------------------------------------------


def test_curl_and_requests_trust_the_authority_and_nothing_else(gateway: Gateway, folder: Path, url: str) -> None:
    ca = str(folder / "ca.crt")
    assert requests.post(f"{url}/predict", b"image", verify=ca, timeout=60).json()["worker"] == "photos-0"
    assert curl("--cacert", ca, f"{url}/livez").stdout == '{"status": "alive"}'
    by_name = curl("--cacert", ca, "--connect-to", f"::127.0.0.1:{gateway.port}", "https://gpu1.lan/livez")
    assert by_name.stdout == '{"status": "alive"}'
    assert curl("--cacert", ca, "--connect-to", f"::127.0.0.1:{gateway.port}", "https://other.lan/").returncode == 60
    assert curl(f"{url}/livez").returncode == 60
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(url, verify=True, timeout=60)


def test_the_kit_s_client_is_told_whom_to_trust(folder: Path, url: str) -> None:
    with Client(url, verify=folder / "ca.crt") as client:
        assert client.is_ready()
    with Client(url) as client, pytest.raises(UnreachableError, match="set verify to the authority's file"):
        client.is_ready()
    with (
        Client(url, transport=DirectTransport()) as client,
        pytest.raises(UnreachableError, match=r"not trusted \(.*set CA= to the authority's file"),
    ):
        client.is_ready()
    with (
        Client(url.replace("https:", "http:")) as client,
        pytest.raises(UnexpectedAnswerError, match="begin the URL with https://"),
    ):
        client.is_ready()


def test_workers_learn_that_the_client_came_over_https(gateway: Gateway) -> None:
    seen = gateway.ask("GET", "/v2").json["headers"]
    assert ["x-forwarded-proto", "https"] in seen


# --- What is spoken -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "spoken"),
    [
        (("-tls1_3",), "TLSv1.3"),
        (("-tls1_2",), "TLSv1.2"),
        (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), None),
        (("-tls1", "-cipher", "ALL:@SECLEVEL=0"), None),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"), None),  # no authenticated encryption
        (("-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"), None),  # no forward secrecy
    ],
)  # fmt: skip
def test_only_tls_1_2_and_1_3_are_spoken_with_modern_ciphers(
    gateway: Gateway, options: tuple[str, ...], spoken: str | None
) -> None:
    said = handshake(gateway, *options)
    assert (f"New, {spoken}, Cipher is" in said) if spoken else ("alert" in said and "Cipher is (NONE)" in said), said


def test_hsts_is_sent_over_https_alone(gateway: Gateway) -> None:
    for path in ("/", "/livez", "/nope", "/v2"):
        assert gateway.ask("GET", path).all("Strict-Transport-Security") == ["max-age=172800"], path
    assert ask_raw(gateway.port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").all("Strict-Transport-Security") == []


@pytest.mark.parametrize(("method", "status"), [("GET", 308), ("POST", 426), ("PUT", 426)])
def test_a_browser_is_led_from_http_to_https_and_other_clients_are_told(
    gateway: Gateway, method: str, status: int
) -> None:
    host = f"127.0.0.1:{gateway.port}"
    request = f"{method} /status?a=b HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode()
    reply = ask_raw(gateway.port, request)
    assert reply.status == status
    if status == 308:
        assert reply.header("Location") == f"https://{host}/status?a=b"
    else:
        assert (reply.error["code"], reply.header("Upgrade")) == ("tls_required", "TLS/1.2, HTTP/1.1")


# --- Renewal ------------------------------------------------------------------------------------------------------


def test_a_renewed_certificate_is_loaded_and_no_connection_breaks(tmp_path: Path, folder: Path) -> None:
    with Gateway(tmp_path, POOLS, options={"tls": {"hsts_days": 0}}, pem=pem(folder)) as own:
        own.start()
        kept = http.client.HTTPSConnection("127.0.0.1", own.port, timeout=60, context=own.tls)
        kept.putrequest("POST", "/predict")
        kept.putheader("Content-Length", "5")
        kept.endheaders(b"im")
        before, processes = handshake(own), own.nginx_processes()
        ends = own.metric(END)
        assert ends == ssl.cert_time_to_seconds(_test_decode_cert(str(folder / "server.crt"))["notAfter"])
        own.write_pem("no certificate")
        until("it is refused", lambda: own.gate_log("upstreams_rejected"))
        assert own.nginx_processes() == processes
        authority.make(folder, [], ())
        own.write_pem(pem(folder))
        until("it is served", lambda: handshake(own).partition("-----END")[0] != before.partition("-----END")[0])
        own.tls = trusting(pem(folder))
        until("its end is told", lambda: own.metric(END) > ends)
        kept.send(b"age")
        response = kept.getresponse()
        assert (response.status, b"photos-0" in response.read()) == (200, True)
        kept.close()
        with requests.Session() as session:
            assert session.get(f"https://127.0.0.1:{own.port}/v2", verify=str(folder / "ca.crt"), timeout=60).ok


def test_a_renewed_certificate_keeps_its_names_and_has_a_new_key(folder: Path) -> None:
    before = (folder / "server.key").read_text()
    assert authority.make(folder, [], ["other.lan"])[0] == "gpu1.lan"
    assert (folder / "server.key").read_text() != before
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.glob("*.*")} == {
        "ca.crt": 0o444,
        "server.crt": 0o444,
        "server.key": 0o400,
    }
    assert (folder / "authority/ca.key").stat().st_mode & 0o777 == 0o400
    assert (folder / "authority").stat().st_mode & 0o777 == 0o700


def test_the_authority_signs_for_its_own_names_and_private_ones_alone(folder: Path) -> None:
    before = (folder / "server.crt").read_text()
    with pytest.raises(CommandError) as error:
        authority.make(folder, ["www.example.com"], ())
    assert "needed one for www.example.com, localhost" in error.value.lines[-1]
    assert (folder / "server.crt").read_text() == before

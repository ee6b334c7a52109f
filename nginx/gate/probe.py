"""The gate's network access: resolve host names and probe workers over HTTP."""

import http.client
import socket
from collections.abc import Mapping
from dataclasses import replace

from .members import Member
from .out import now
from .rules import Probe, parse_readyz

PROBE_TIMEOUT_S = 2.0  # a frozen worker still accepts connections, and never answers
TRIAL_TIMEOUT_S = 5.0
GOLDEN_BYTES = 32 << 20


def resolve_all(address: str) -> list[str]:
    """Return every ip:port that `address` (host:port) resolves to, sorted; raise OSError if it does not resolve."""
    return [format_address(*endpoint) for endpoint in _resolve(address)]


def resolve(member: Member) -> tuple[str, int]:
    """Return the IP address and port of `member`; raise OSError if its name does not resolve.

    Of several addresses it is always the first in sorted order, since a changed one would cost a reload.
    """
    return _resolve(member.address)[0]


def _resolve(address: str) -> list[tuple[str, int]]:
    host, _, port = address.rpartition(":")
    try:
        results = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError for an invalid name such as "a..b"
        raise OSError(f"{host}: {error.args[-1]}") from error
    addresses = sorted({(family, str(endpoint[0])) for family, _, _, _, endpoint in results})
    return [(ip, int(port)) for _, ip in addresses]


def format_address(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def probe_worker(member: Member) -> Probe:
    try:
        ip, port = resolve(member)
    except OSError as error:
        return Probe("unreachable", str(error), now())
    return replace(_probe_address(ip, port, member), address=format_address(ip, port))


def _probe_address(ip: str, port: int, member: Member) -> Probe:
    connection = http.client.HTTPConnection(ip, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz", headers={"Connection": "close"})
        response = connection.getresponse()
        return parse_readyz(member, response.status, response.read(65536), now())
    except Exception as error:  # whatever it was, the worker did not answer, and the probing must go on
        return Probe("unreachable", str(error) or type(error).__name__, now())
    finally:
        connection.close()


def try_golden_image(address: str, helper: str) -> str | None:
    """Let the worker at `address` classify the model's golden image, which the one at `helper` hands out.

    Return what went wrong, None if its answer is no server error: then the requests that it failed on were bad.
    """
    status, image, kind = _ask(helper, "GET", "/golden")
    if status != 200:
        return "no other worker hands out a golden image to try it on"
    status, *_ = _ask(address, "POST", "/predict", image, {"Content-Type": kind})
    return f"it answered {status or 'nothing'} to the golden image" if status is None or status >= 500 else None


def _ask(
    address: str, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int | None, bytes, str]:
    """Return the status, body and content type of an answer; the status is None if there is none."""
    connection = http.client.HTTPConnection(address, timeout=TRIAL_TIMEOUT_S)
    try:
        connection.request(method, path, body, {"Connection": "close"} | dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read(GOLDEN_BYTES), response.getheader("Content-Type", "")
    except Exception:  # whatever it was, the worker did not answer
        return None, b"", ""
    finally:
        connection.close()

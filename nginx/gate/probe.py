"""How the gate looks and asks: names to addresses, and each worker's own words."""

import http.client
import socket
from dataclasses import replace

from .members import Member
from .out import now
from .rules import Probe, parse_readyz

PROBE_TIMEOUT_S = 2.0  # a frozen worker still accepts connections, and never answers


def look_up(address: str) -> list[str]:
    """Every ip:port that `address` (host:port) leads to, sorted; raises OSError, which says what is wrong with it."""
    return [as_text(*place) for place in _places(address)]


def resolve(member: Member) -> tuple[str, int]:
    """The IP address and the port of `member`, always the same, since another would mean a reload; raises OSError."""
    return _places(member.address)[0]


def _places(address: str) -> list[tuple[str, int]]:
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the latter for what cannot be a name, such as "a..b"
        raise OSError(f"{host}: {error.args[-1]}") from error
    places = sorted({(family, str(place[0])) for family, _, _, _, place in found})
    return [(ip, int(port)) for _, ip in places]


def as_text(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def ask(member: Member) -> Probe:
    try:
        ip, port = resolve(member)
    except OSError as error:
        return Probe("unreachable", str(error), now())
    return replace(_ask_at(ip, port, member), address=as_text(ip, port))


def _ask_at(ip: str, port: int, member: Member) -> Probe:
    connection = http.client.HTTPConnection(ip, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz", headers={"Connection": "close"})
        response = connection.getresponse()
        return parse_readyz(member, response.status, response.read(65536), now())
    except Exception as error:  # whatever it was, the worker did not answer; and the asking must go on
        return Probe("unreachable", str(error) or type(error).__name__, now())
    finally:
        connection.close()

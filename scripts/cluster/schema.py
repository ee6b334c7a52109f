"""The schema of `cluster.toml`: every key of its tables, with what a value must be and its default.

The comments in the file document it; a test compares the two.
"""

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scripts.cluster.cores import PROFILES, THROUGHPUT
from worker.contract.cpu_list import parse_cpu_list
from worker.contract.schemas import CLUSTER
from worker.contract.settings import LIMITS_TABLE, SETTINGS, TOP

GATEWAY = "gateway"  # the table of what concerns the gateway alone
ACCESS = "access"  # the table of who may ask
CLIENTS = "clients"  # the table of what one client may do
TLS = "tls"  # the table of its certificate
SWARM = "swarm"  # the table of what several servers are together
METRICS = "metrics"  # the table of what Prometheus and Grafana need

REQUIRED = object()


@dataclass(frozen=True)
class Key:
    """One key of a table: `read` converts its TOML value, or raises ValueError; `needed` describes a valid value."""

    needed: str
    read: Callable[[Any], Any]
    default: object = REQUIRED  # as the file would state it; `read` converts it, too


def _require(value: Any, fits: bool) -> Any:
    if not fits:
        raise ValueError
    return value


def _matching(pattern: str) -> Callable[[Any], Any]:
    return lambda value: _require(value, isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def _integer(value: Any, minimum: int, maximum: float = float("inf")) -> Any:
    return _require(value, type(value) is int and minimum <= value <= maximum)


def _auto_or_count(value: Any) -> Any:
    return None if value == "auto" else _integer(value, 1)


def _address(value: Any) -> Any:
    _matching(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")(value)
    return str(ipaddress.IPv4Address(value)) if re.fullmatch(r"[\d.]+", value) else value


def _gpus(value: Any) -> Any:
    if value in ("auto", "none"):
        return None if value == "auto" else ()
    uuid = _matching(r"(GPU|MIG)-[0-9A-Za-z/-]+")
    _require(value, isinstance(value, list) and value != [])
    return _require(tuple(uuid(item) for item in value), len(set(value)) == len(value))


def _cpus(value: Any) -> Any:
    if value in ("auto", "none"):
        return None if value == "auto" else ()
    return parse_cpu_list(_matching(r".*\S.*")(value))


def _origins(value: Any) -> Any:
    origin = _matching(r"[a-z][a-z0-9+.-]*://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
    _require(value, isinstance(value, list))
    return ("*",) if value == ["*"] else _require(tuple(map(origin, value)), len(set(map(str, value))) == len(value))


def _list_of(read: Callable[[Any], str]) -> Callable[[Any], Any]:
    def read_list(value: Any) -> Any:
        items = tuple(map(read, _require(value, isinstance(value, list))))
        return _require(items, len(set(items)) == len(items))

    return read_list


def _ip_address(value: Any) -> str:
    address = ipaddress.ip_address(_require(value, isinstance(value, str)))
    # A link-local one would need the name of its interface.
    _require(value, not address.is_multicast and not address.is_link_local)
    return str(address)


_addresses = _list_of(_ip_address)
_networks = _list_of(lambda value: str(ipaddress.ip_network(_require(value, isinstance(value, str)))))
_host_names = _list_of(_matching(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*"))


def _auto_or_odd(value: Any) -> Any:
    return None if value == "auto" else _require(value, value in (1, 3, 5, 7) and type(value) is int)


def _auto_or_mtu(value: Any) -> Any:
    return None if value == "auto" else _integer(value, 576, 65485)


def _auto_or_pool(value: Any) -> Any:
    if value == "auto":
        return None
    pool = ipaddress.IPv4Network(_require(value, isinstance(value, str)))
    return _require(str(pool), 8 <= pool.prefixlen <= 23)


def _boolean(value: Any) -> Any:
    return _require(value, isinstance(value, bool))


def _settings(table: str) -> dict[str, Key]:
    """Return the keys of the worker settings that belong to `table`, by name."""
    return {
        setting.name: Key(
            setting.needed, setting.from_toml, setting.parse(setting.default) if setting.default else REQUIRED
        )
        for setting in SETTINGS.values()
        if setting.table == table
    }


SCHEMA: dict[str, dict[str, Key]] = {
    "": {
        "schema": Key(" or ".join(map(str, range(1, CLUSTER + 1))), lambda value: _integer(value, 1, CLUSTER), CLUSTER),
        "port": Key("a port from 1 to 65535", lambda value: _integer(value, 1, 65535), 8080),
        **_settings(TOP),
        "profile": Key(
            " or ".join(map(json.dumps, PROFILES)), lambda value: _require(value, value in PROFILES), THROUGHPUT
        ),
    },
    LIMITS_TABLE: _settings(LIMITS_TABLE),
    GATEWAY: {
        "cors_origins": Key('a list of origins such as "https://example.org", or ["*"] for all', _origins, []),
        "bodies_mb": Key('"auto" or a whole number from 1', _auto_or_count, "auto"),
        "listen": Key("a list of IPv4 and IPv6 addresses", _addresses, []),
        "hosts": Key('a list of host names such as "a.example.org" or "*.example.org"', _host_names, []),
        "trusted_proxies": Key('a list of addresses and networks such as "10.0.0.0/8"', _networks, []),
        "anonymise": Key("true or false", _boolean, False),
    },
    CLIENTS: {
        "connections": Key("a whole number from 0 to 65535", lambda value: _integer(value, 0, 65535), 256),
        "requests_s": Key("a whole number from 0 to 100000", lambda value: _integer(value, 0, 100_000), 0),
        "burst": Key("a whole number from 0 to 100000", lambda value: _integer(value, 0, 100_000), 100),
        "bodies_mb": Key('"auto" or a whole number from 1', _auto_or_count, "auto"),
    },
    TLS: {
        "enabled": Key("true or false", _boolean, False),
        "certificate": Key("the path of a PEM file", _matching(r"[^\0\n]+"), "tls/server.crt"),
        "key": Key("the path of a PEM file", _matching(r"[^\0\n]+"), "tls/server.key"),
        "hsts_days": Key("a whole number of days from 0 to 730", lambda value: _integer(value, 0, 730), 0),
    },
    ACCESS: {
        "keys": Key("true or false", lambda value: _require(value, isinstance(value, bool)), False),
        "admin_from": Key('a list of networks such as "10.1.2.0/24" or "::1"', _networks, []),
    },
    SWARM: {
        "managers": Key('"auto", 1, 3, 5 or 7', _auto_or_odd, "auto"),
        "encrypted": Key("true or false", _boolean, False),
        "autolock": Key("true or false", _boolean, False),
        "mtu": Key('"auto" or a whole number from 576 to 65485', _auto_or_mtu, "auto"),
        "addresses": Key('"auto" or an IPv4 network of /8 to /23', _auto_or_pool, "auto"),
    },
    METRICS: {
        "port": Key("a port from 1 to 65535, or 0", lambda value: _integer(value, 0, 65535), 0),
        "listen": Key("a list of IPv4 and IPv6 addresses", _addresses, ["127.0.0.1"]),
        "target_ms": Key("a whole number from 1 to 60000", lambda value: _integer(value, 1, 60_000), 1000),
        "prometheus_port": Key("a port from 1 to 65535", lambda value: _integer(value, 1, 65535), 9090),
        "grafana_port": Key("a port from 1 to 65535", lambda value: _integer(value, 1, 65535), 3000),
        "retention_mb": Key("a whole number from 100", lambda value: _integer(value, 100), 2048),
    },
    "models": {
        "name": Key(
            'up to 63 lower-case letters, digits, ".", "_" or "-", the first a letter or digit',
            _matching(r"[a-z0-9][a-z0-9._-]{0,62}"),
        ),
        "folder": Key("the path of a model folder", _matching(r"[^\0\n]+")),
        "share": Key("a whole number from 1", lambda value: _integer(value, 1), 1),
    },
    "servers": {
        "name": Key(
            'up to 31 lower-case letters, digits or "-", the first a letter',
            _matching(r"[a-z][a-z0-9-]{0,30}"),
            "this",
        ),
        "address": Key("a host name or an IPv4 address", _address, "127.0.0.1"),
        "gpus": Key('"auto", "none" or a list of GPU UUIDs', _gpus, "auto"),
        "cpus": Key('"auto", "none" or a list of CPUs such as "0-3,8"', _cpus, "auto"),
        "workers": Key('"auto" or a whole number from 1', _auto_or_count, "auto"),
        "cores_per_worker": Key('"auto" or a whole number from 1', _auto_or_count, "auto"),
        "gateway": Key("true or false", _boolean, True),
    },
}

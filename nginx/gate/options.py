"""What cluster.toml says about the gateway: the object "gateway" of members.json, as Nginx's directives. Pure."""

import ipaddress
import json
import re
from dataclasses import dataclass, field
from typing import Any

from .clients import Access, parse_access, render_access
from .limits import Clients, parse_clients, render_limits
from .members import MembersError

MAX_BODY_MB, CORS_ORIGINS, TLS = "max_body_mb", "cors_origins", "tls"
BODIES_MB, CLIENTS, ACCESS = "bodies_mb", "clients", "access"
ASKS_FOR_KEYS, ADMIN_FROM, METRICS = "keys", "admin_from", "metrics"
KNOWN = (MAX_BODY_MB, CORS_ORIGINS, TLS, BODIES_MB, CLIENTS, ACCESS, ASKS_FOR_KEYS, ADMIN_FROM, METRICS)
SERVER_PEM = "tls/server.pem"  # the certificate and its key, below the folder that Nginx runs in
ANY_ORIGIN = "*"
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]_-]+")  # scripts/cluster/schema.py is stricter


ADDRESS = re.compile(r"([0-9.]+|\[[0-9a-f:.]+\]):[0-9]{1,5}")


@dataclass(frozen=True)
class Metrics:
    """Where the gate serves /metrics, besides to Nginx, as ip:port; and the wanted p99 of the first byte."""

    listen: tuple[str, ...] = ()
    target_ms: int = 1000


@dataclass(frozen=True)
class Options:
    """The most mebibytes of a request, the origins whose web pages may ask (ANY_ORIGIN: all), and TLS.

    With `keys` a request needs one, but for an admin's request from one of the networks `admin_from`.
    """

    max_body_mb: int = 32
    cors_origins: tuple[str, ...] = ()
    tls: bool = False
    hsts_days: int = 0
    bodies_mb: int | None = None  # mebibytes of all bodies at once
    clients: Clients = field(default_factory=Clients)
    access: Access = field(default_factory=Access)
    keys: bool = False
    admin_from: tuple[str, ...] = ()
    metrics: Metrics = field(default_factory=Metrics)


DEFAULTS = Options()


def parse_options(text: str) -> Options:
    """Return the options in members.json; raise MembersError if they are invalid."""
    given = json.loads(text).get("gateway", {})
    if not isinstance(given, dict) or set(given) - set(KNOWN):
        raise MembersError(f"gateway: found {given!r}, needed an object with some of {', '.join(KNOWN)}")
    size, origins = given.get(MAX_BODY_MB, Options.max_body_mb), given.get(CORS_ORIGINS, [])
    if type(size) is not int or size < 1:
        raise MembersError(f"gateway/{MAX_BODY_MB}: found {size!r}, needed a whole number from 1")
    if not isinstance(origins, list) or not all(map(_is_origin, origins)):
        raise MembersError(f'gateway/{CORS_ORIGINS}: found {origins!r}, needed a list of origins, or of "*" alone')
    tls = given.get(TLS)
    if tls is not None and (
        not isinstance(tls, dict) or set(tls) != {"hsts_days"} or type(tls["hsts_days"]) is not int
    ):
        raise MembersError(f"gateway/{TLS}: found {tls!r}, needed an object with hsts_days, a whole number, or nothing")
    bodies, clients, access = (
        given.get(BODIES_MB),
        parse_clients(given.get(CLIENTS, {})),
        parse_access(given.get(ACCESS, {})),
    )
    if bodies is not None and (type(bodies) is not int or bodies < 1):
        raise MembersError(f"gateway/{BODIES_MB}: found {bodies!r}, needed a whole number from 1, or null")
    hsts_days = tls["hsts_days"] if tls else 0
    keys, networks = _keys(given)
    return Options(
        size, tuple(origins), tls is not None, hsts_days, bodies, clients, access, keys, networks, _metrics(given)
    )


def _keys(given: dict[str, Any]) -> tuple[bool, tuple[str, ...]]:
    keys, networks = given.get(ASKS_FOR_KEYS, False), given.get(ADMIN_FROM, [])
    if not isinstance(keys, bool):
        raise MembersError(f"gateway/{ASKS_FOR_KEYS}: found {keys!r}, needed true or false")
    try:
        return keys, tuple(str(ipaddress.ip_network(network)) for network in networks)
    except (ValueError, TypeError):
        raise MembersError(f"gateway/{ADMIN_FROM}: found {networks!r}, needed a list of networks") from None


def _metrics(options: dict[str, Any]) -> Metrics:
    given = options.get(METRICS, {})
    known = Metrics.__dataclass_fields__
    if not isinstance(given, dict) or set(given) - set(known):
        raise MembersError(f"gateway/{METRICS}: found {given!r}, needed an object with some of {', '.join(known)}")
    listen, target = given.get("listen", []), given.get("target_ms", Metrics.target_ms)
    if not isinstance(listen, list) or not all(isinstance(one, str) and ADDRESS.fullmatch(one) for one in listen):
        raise MembersError(f"gateway/{METRICS}/listen: found {listen!r}, needed a list of addresses, IP:PORT")
    if type(target) is not int or target < 1:
        raise MembersError(f"gateway/{METRICS}/target_ms: found {target!r}, needed a whole number from 1")
    return Metrics(tuple(listen), target)


def render_options(options: Options, certificate: str = "") -> list[str]:
    """Return Nginx's lines for the options; `certificate` is the digest of SERVER_PEM.

    They define $max_body, $cors_origin (Access-Control-Allow-Origin), $cors_vary and $strict_transport_security.
    """
    everyone = options.cors_origins == (ANY_ORIGIN,)
    listed = [] if everyone else [f'    "{origin}" $http_origin;' for origin in options.cors_origins]
    return [
        "",
        f"client_max_body_size {options.max_body_mb}m;",
        "",
        'map "" $max_body {',
        f'    default "{options.max_body_mb} MB";',
        "}",
        "",
        "map $http_origin $cors_origin {",
        f'    default "{ANY_ORIGIN if everyone else ""}";',
        *listed,
        "}",
        "",
        # A cache must not give one origin what was meant for another.
        'map "" $cors_vary {',
        f'    default "{"Origin" if listed else ""}";',
        "}",
        *_tls(options, certificate),
        *render_access(options.access),
        *render_limits(options.max_body_mb, options.bodies_mb, options.clients),
    ]


def _tls(options: Options, certificate: str) -> list[str]:
    """Return the certificate's lines; its digest makes Nginx load a changed one, for the lines are changed, too."""
    hsts = f"max-age={options.hsts_days * 86400}" if options.hsts_days else ""
    lines = ["", "map $https $strict_transport_security {", f'    on "{hsts}";', '    default "";', "}"]
    if options.tls:
        lines += ["", f"ssl_certificate {SERVER_PEM};  # {certificate}", f"ssl_certificate_key {SERVER_PEM};"]
    return lines


def _is_origin(value: Any) -> bool:
    return isinstance(value, str) and (value == ANY_ORIGIN or ORIGIN.fullmatch(value) is not None)

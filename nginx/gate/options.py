"""What cluster.toml says about the gateway: the object "gateway" of members.json, as Nginx's directives. Pure."""

import json
from dataclasses import dataclass

from .clients import Access, render_access
from .kinds import boolean, nested, networks, read_object, texts, whole
from .limits import Clients, render_limits

SERVER_PEM = "tls/server.pem"  # the certificate and its key, below the folder that Nginx runs in
ANY_ORIGIN = "*"
ORIGIN = r"[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]_-]+"  # scripts/cluster/kinds.py is stricter


@dataclass(frozen=True)
class Metrics:
    """Where the gate serves /metrics, besides to Nginx, as ip:port; and the wanted p99 of the first byte."""

    listen: tuple[str, ...] = texts("addresses, IP:PORT", r"([0-9.]+|\[[0-9a-f:.]+\]):[0-9]{1,5}")
    target_ms: int = whole(1, 1000)


@dataclass(frozen=True)
class Tls:
    """The days for which browsers are told to ask over HTTPS alone; 0: they are told nothing."""

    hsts_days: int = whole(0)


@dataclass(frozen=True)
class Options:
    """The most mebibytes of a request, the origins whose web pages may ask (ANY_ORIGIN: all), and TLS, if any.

    With `keys` a request needs one, but for an admin's request from one of the networks `admin_from`.
    """

    max_body_mb: int = whole(1, 32)
    cors_origins: tuple[str, ...] = texts('origins, or of "*" alone', rf"\*|{ORIGIN}")
    tls: Tls | None = nested(Tls, None)
    bodies_mb: int | None = whole(1, None)  # mebibytes of all bodies at once
    clients: Clients = nested(Clients, Clients())
    access: Access = nested(Access, Access())
    keys: bool = boolean()
    admin_from: tuple[str, ...] = networks()
    metrics: Metrics = nested(Metrics, Metrics())


DEFAULTS = Options()


def parse_options(text: str) -> Options:
    """Return the options in members.json; raise MembersError if they are invalid."""
    return read_object(Options, json.loads(text).get("gateway", {}), "gateway")


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
    days = options.tls.hsts_days if options.tls else 0
    hsts = f"max-age={days * 86400}" if days else ""
    lines = ["", "map $https $strict_transport_security {", f'    on "{hsts}";', '    default "";', "}"]
    if options.tls:
        lines += ["", f"ssl_certificate {SERVER_PEM};  # {certificate}", f"ssl_certificate_key {SERVER_PEM};"]
    return lines

"""What cluster.toml says about the gateway: the object "gateway" of members.json, as Nginx's directives. Pure."""

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any

from .members import MembersError

MAX_BODY_MB, CORS_ORIGINS = "max_body_mb", "cors_origins"
KEYS, ADMIN_FROM = "keys", "admin_from"
ANY_ORIGIN = "*"
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]_-]+")  # scripts/cluster/config.py is stricter


@dataclass(frozen=True)
class Options:
    """The most mebibytes of a request, and the origins whose web pages may ask (ANY_ORIGIN: all).

    With `keys` a request needs one, but for an admin's request from one of the networks `admin_from`.
    """

    max_body_mb: int = 32
    cors_origins: tuple[str, ...] = ()
    keys: bool = False
    admin_from: tuple[str, ...] = ()


DEFAULTS = Options()


def parse_options(text: str) -> Options:
    """Return the options in members.json; raise MembersError if they are invalid."""
    given = json.loads(text).get("gateway", {})
    if not isinstance(given, dict) or set(given) - {MAX_BODY_MB, CORS_ORIGINS, KEYS, ADMIN_FROM}:
        needed = ", ".join((MAX_BODY_MB, CORS_ORIGINS, KEYS, ADMIN_FROM))
        raise MembersError(f"gateway: found {given!r}, needed an object with some of {needed}")
    size, origins = given.get(MAX_BODY_MB, Options.max_body_mb), given.get(CORS_ORIGINS, [])
    if type(size) is not int or size < 1:
        raise MembersError(f"gateway/{MAX_BODY_MB}: found {size!r}, needed a whole number from 1")
    if not isinstance(origins, list) or not all(map(_is_origin, origins)):
        raise MembersError(f'gateway/{CORS_ORIGINS}: found {origins!r}, needed a list of origins, or of "*" alone')
    return Options(size, tuple(origins), *_access(given))


def _access(given: dict[str, Any]) -> tuple[bool, tuple[str, ...]]:
    keys, networks = given.get(KEYS, False), given.get(ADMIN_FROM, [])
    if not isinstance(keys, bool):
        raise MembersError(f"gateway/{KEYS}: found {keys!r}, needed true or false")
    try:
        return keys, tuple(str(ipaddress.ip_network(network)) for network in networks)
    except (ValueError, TypeError):
        raise MembersError(f"gateway/{ADMIN_FROM}: found {networks!r}, needed a list of networks") from None


def render_options(options: Options) -> list[str]:
    """Return the lines that limit bodies, and that give $cors_origin, the value of Access-Control-Allow-Origin."""
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
    ]


def _is_origin(value: Any) -> bool:
    return isinstance(value, str) and (value == ANY_ORIGIN or ORIGIN.fullmatch(value) is not None)

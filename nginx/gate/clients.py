"""Who asks, and under which name: proxies, host names and addresses in the log, as Nginx's directives. Pure.

A page of another site can make a browser ask this machine by DNS rebinding: its own host name then leads here. So a
name is taken only if no other site can own it, or if cluster.toml lists it.
"""

import re
from dataclasses import dataclass
from typing import Any

from .members import MembersError

# Where names are checked: at every address; at 127.0.0.1 and ::1, which only this machine reaches; nowhere.
EVERYWHERE, LOOPBACK, NOWHERE = "everywhere", "loopback", "nowhere"
NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
NETWORK = re.compile(r"[0-9a-f:.]+(/[0-9]{1,3})?")
# Addresses, names without a dot, and the domains of private networks.
OWN_NAMES = (
    r"(\[[0-9a-f:.]+\]|[0-9]+(\.[0-9]+){3}|[a-z0-9_-]+|.+\.(localhost|local|lan|internal|intranet|home\.arpa|test))\.?"
)
ANONYMISED = (  # to /24 and /48, in the form in which Nginx writes addresses
    r'"~^(?<kept>[0-9]+\.[0-9]+\.[0-9]+)\.[0-9]+\z" $kept.0;',
    r'"~^(?<kept>[0-9a-f]+:[0-9a-f]+:[0-9a-f]+):" "$kept::";',
    r'"~^(?<kept>[0-9a-f]*(:[0-9a-f]+)?)::" "$kept::";',
)


@dataclass(frozen=True)
class Access:
    """The host names that are taken beside OWN_NAMES, where they are checked, and the rest of [gateway]."""

    hosts: tuple[str, ...] = ()
    check_hosts: str = LOOPBACK
    trusted_proxies: tuple[str, ...] = ()
    anonymise: bool = False


def parse_access(given: Any) -> Access:
    """Return what members.json says; raise MembersError if it is invalid."""
    known = Access.__dataclass_fields__
    if not isinstance(given, dict) or set(given) - set(known):
        raise MembersError(f"gateway/access: found {given!r}, needed an object with some of {', '.join(known)}")
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    access = Access(**values)
    for name, listed, pattern in (("hosts", access.hosts, NAME), ("trusted_proxies", access.trusted_proxies, NETWORK)):
        if not isinstance(listed, tuple) or not all(isinstance(one, str) and pattern.fullmatch(one) for one in listed):
            raise MembersError(f"gateway/access/{name}: found {listed!r}, needed a list of {pattern.pattern}")
    if access.check_hosts not in (EVERYWHERE, LOOPBACK, NOWHERE) or type(access.anonymise) is not bool:
        raise MembersError(f"gateway/access: found {given!r}, needed a known check_hosts, and anonymise true or false")
    return access


def render_access(access: Access) -> list[str]:
    """Return the lines that define $known_host, $checks_host and $logged_client, and that name the proxies."""
    checks = {EVERYWHERE: ["default 1;"], LOOPBACK: [r"~^(127\.|::1\z) 1;", "default 0;"], NOWHERE: ["default 0;"]}
    proxies = [f"set_real_ip_from {network};" for network in access.trusted_proxies]
    names = [f"{name} 1;" for name in access.hosts if "." in name]  # OWN_NAMES has those without
    addresses = [*(ANONYMISED if access.anonymise else []), "default $remote_addr;"]
    return [
        "",
        *(["real_ip_header X-Forwarded-For;", "real_ip_recursive on;", *proxies, ""] if proxies else []),
        # Nginx holds no empty value against a pattern.
        *_map("$host", "$known_host", ["hostnames;", '"" 1;', *names, rf'"~^{OWN_NAMES}\z" 1;', "default 0;"]),
        *_map("$server_addr", "$checks_host", checks[access.check_hosts]),
        *_map("$remote_addr", "$logged_client", addresses),
    ]


def _map(source: str, variable: str, lines: list[str]) -> list[str]:
    return [f"map {source} {variable} {{", *(f"    {line}" for line in lines), "}"]

"""Who asks, and under which name: proxies, host names and addresses in the log, as Nginx's directives. Pure.

A page of another site can make a browser ask this machine by DNS rebinding: its own host name then leads here. So a
name is taken only if no other site can own it, or if cluster.toml lists it.
"""

from dataclasses import dataclass

from .kinds import boolean, choice, networks, texts

# Where names are checked: at every address; at 127.0.0.1 and ::1, which only this machine reaches; nowhere.
EVERYWHERE, LOOPBACK, NOWHERE = "everywhere", "loopback", "nowhere"
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

    hosts: tuple[str, ...] = texts("host names", r"(\*\.)?[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
    check_hosts: str = choice((EVERYWHERE, LOOPBACK, NOWHERE), LOOPBACK)
    trusted_proxies: tuple[str, ...] = networks()
    anonymise: bool = boolean()


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

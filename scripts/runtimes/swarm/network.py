"""What `[swarm]` says of the overlay networks, held against this server's routes and interfaces."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from scripts.cluster.config import Cluster

VXLAN_BYTES = 50  # of each packet between two servers
DEFAULT_MTU = 1450  # what Docker gives overlay networks
ROUTES, INTERFACES = Path("/proc/net/route"), Path("/sys/class/net")
OVERLAYS = ("docker_gwbridge", "br-", "docker")  # Docker's own, which the service's networks may replace


@dataclass(frozen=True)
class Route:
    """An IPv4 route: the interface by which it leads to a network."""

    interface: str
    network: IPv4Network


def parse_routes(text: str) -> list[Route]:
    """Return the routes in the text of /proc/net/route, which shows the machine's own order of bytes."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return [Route(row[0], IPv4Network((_address(row[1]), str(_address(row[7]))))) for row in rows if len(row) > 7]


def _address(text: str) -> IPv4Address:
    return IPv4Address(int(text, 16).to_bytes(4, sys.byteorder))


def network_faults(
    cluster: Cluster, routes: Iterable[Route], mtus: Mapping[str, int], servers: Iterable[IPv4Address]
) -> list[str]:
    """Return a line for each key of `[swarm]` that does not fit this server; `mtus` are by interface."""
    routes, faults = list(routes), []
    if cluster.swarm.addresses is not None:
        pool = IPv4Network(cluster.swarm.addresses)
        taken = [
            f"{route.network} ({route.interface})"
            for route in routes
            if route.network.prefixlen and route.network.overlaps(pool) and not route.interface.startswith(OVERLAYS)
        ]
        if taken:
            faults.append(f"addresses: found {pool}, which this server has routes into, needed one beside {taken[0]}")
    mtu = DEFAULT_MTU if cluster.swarm.mtu is None else cluster.swarm.mtu
    for interface in dict.fromkeys(filter(None, (_interface(routes, server) for server in servers))):
        if interface in mtus and mtu > mtus[interface] - VXLAN_BYTES:
            faults.append(
                f"mtu: found {mtu} with {interface}, which takes {mtus[interface]} and leads to another server, needed "
                f"at most {mtus[interface] - VXLAN_BYTES}"
            )
    return [f"{cluster.source}: swarm/{fault}" for fault in faults]


def _interface(routes: Iterable[Route], server: IPv4Address) -> str | None:
    """Return the interface by which the narrowest route leads to `server`."""
    fitting = [route for route in routes if server in route.network]
    return max(fitting, key=lambda route: route.network.prefixlen).interface if fitting else None


def faults_here(cluster: Cluster) -> list[str]:
    """Return the same for this server and the addresses of all; names are not looked up."""
    servers, mtus = [], {}
    for server in cluster.servers:
        with suppress(ValueError):
            servers.append(IPv4Address(server.address))
    for interface in INTERFACES.glob("*"):
        with suppress(OSError, ValueError):
            mtus[interface.name] = int((interface / "mtu").read_text())
    try:
        routes = parse_routes(ROUTES.read_text())
    except OSError:
        return []
    return network_faults(cluster, routes, mtus, servers)

"""`[swarm]` held against recorded routes and interfaces."""

import sys
from ipaddress import IPv4Address, IPv4Network

import pytest

from scripts.cluster.config import Cluster, parse_cluster
from scripts.render.swarm import networks
from scripts.runtimes.swarm.network import Route, network_faults, parse_routes

# Of a server with one interface to the others, one to a storage network, and Docker's bridge.
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth1\t0000630A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
MTUS = {"eth0": 1500, "eth1": 9000, "docker0": 1500}
MTU = "mtu: found {} with eth0, which takes {} and leads to another server, needed at most {}"
SERVERS = [IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")]


def cluster(table: str) -> Cluster:
    return parse_cluster(f'[swarm]\n{table}\n[[models]]\nname = "photos"\nfolder = "worker/photos"\n', "c.toml")


@pytest.mark.skipif(sys.byteorder != "little", reason="the routes were recorded on a little-endian machine")
def test_routes_are_read_from_the_kernel() -> None:
    assert parse_routes(ROUTES) == [
        Route("eth0", IPv4Network("0.0.0.0/0")),
        Route("eth1", IPv4Network("10.99.0.0/16")),
        Route("docker0", IPv4Network("172.17.0.0/16")),
        Route("eth0", IPv4Network("192.0.2.0/24")),
    ]
    assert parse_routes("") == []


@pytest.mark.parametrize(
    ("table", "mtus", "faults"),
    [
        ("", MTUS, []),
        ('mtu = 1450\naddresses = "10.98.0.0/16"', MTUS, []),
        ('addresses = "172.17.0.0/16"', MTUS, []),  # Docker's own
        ("mtu = 1451", MTUS, [MTU.format(1451, 1500, 1450)]),
        ("", MTUS | {"eth0": 1400}, [MTU.format(1450, 1400, 1350)]),
        (
            'addresses = "10.0.0.0/8"', MTUS,
            ["addresses: found 10.0.0.0/8, which this server has routes into, needed one beside 10.99.0.0/16 (eth1)"],
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_this_server_is_named(table: str, mtus: dict[str, int], faults: list[str]) -> None:
    routes = [
        Route("eth0", IPv4Network("0.0.0.0/0")),
        Route("eth1", IPv4Network("10.99.0.0/16")),
        Route("docker0", IPv4Network("172.17.0.0/16")),
        Route("eth0", IPv4Network("192.0.2.0/24")),
    ]
    found = network_faults(cluster(table), routes, mtus, SERVERS)
    assert found == [f"c.toml: swarm/{fault}" for fault in faults]


def test_the_networks_are_rendered_with_what_the_table_says_and_not_at_all_without_it() -> None:
    assert networks(cluster("")) == {}
    options = {"driver_opts": {"com.docker.network.driver.mtu": "1400"}}
    assert networks(cluster("mtu = 1400")) == {
        "workers": options,
        "outside": options,
    }
    assert networks(cluster('addresses = "10.99.0.0/16"')) == {
        "workers": {"ipam": {"config": [{"subnet": "10.99.0.0/17"}]}},
        "outside": {"ipam": {"config": [{"subnet": "10.99.128.0/17"}]}},
    }

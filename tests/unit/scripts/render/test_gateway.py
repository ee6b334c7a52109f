"""The gate's member list and Nginx's listen directives, as exact text."""

from scripts.cluster.config import Cluster, parse_cluster
from scripts.render.common import NOTICE, addresses
from scripts.render.gateway import listen_directive, listen_ports, members, metrics_addresses
from tests.unit.scripts.render import make_cluster, make_plan, ports


def rendered_members(cluster: Cluster) -> str:
    plans = make_plan(cluster)
    return members(cluster, plans, addresses(cluster, plans, ports(plans)))


def test_members_render_as_this_text() -> None:
    cluster = make_cluster()
    assert rendered_members(cluster) == (
        "{\n"
        f' "rendered": "{NOTICE}",\n'
        ' "schema": 1,\n'
        ' "gateway": {\n'
        '  "max_body_mb": 32,\n'
        '  "cors_origins": [],\n'
        '  "bodies_mb": null,\n'
        '  "clients": {\n'
        '   "connections": 256,\n'
        '   "requests_s": 0,\n'
        '   "burst": 100,\n'
        '   "bodies_mb": null\n'
        "  },\n"
        '  "metrics": {\n'
        '   "listen": [],\n'
        '   "target_ms": 1000\n'
        "  },\n"
        '  "access": {\n'
        '   "hosts": [],\n'
        '   "check_hosts": "loopback",\n'
        '   "trusted_proxies": [],\n'
        '   "anonymise": false\n'
        "  }\n"
        " },\n"
        ' "pools": [\n'
        "  {\n"
        '   "model": "photos",\n'
        '   "members": [\n'
        "    {\n"
        '     "worker": "photos-0",\n'
        '     "server": "this",\n'
        '     "slot": "this-cpu0",\n'
        '     "address": "127.0.0.1:8081"\n'
        "    }\n"
        "   ]\n"
        "  },\n"
        "  {\n"
        '   "model": "wide",\n'
        '   "members": [\n'
        "    {\n"
        '     "worker": "wide-0",\n'
        '     "server": "this",\n'
        '     "slot": "this-cpu1",\n'
        '     "address": "127.0.0.1:8082"\n'
        "    }\n"
        "   ]\n"
        "  }\n"
        " ]\n"
        "}\n"
    )


def test_metrics_are_served_where_cluster_toml_says() -> None:
    tables = {"": [], "port = 9": ["127.0.0.1:9"], "port = 9\nlisten = ['10.0.0.1', '::1']": ["10.0.0.1:9", "[::1]:9"]}
    for table, expected in tables.items():
        cluster = parse_cluster(f'[metrics]\n{table}\n[[models]]\nname = "m"\nfolder = "m"\n', "c.toml")
        assert metrics_addresses(cluster, ipv6=True) == expected
    everywhere = parse_cluster('[metrics]\nport = 9\nlisten = []\n[[models]]\nname = "m"\nfolder = "m"\n', "c.toml")
    assert metrics_addresses(everywhere, ipv6=True) == ["0.0.0.0:9", "[::]:9"]
    assert metrics_addresses(everywhere, ipv6=False) == ["0.0.0.0:9"]


def test_the_listen_directive_renders_as_this_text() -> None:
    ipv4 = (
        "# Rendered from compose/cluster.toml by scripts/render; changes here are lost at the next `make up`.\n"
        "listen 8080;\n"
    )
    assert listen_directive(8080, False) == ipv4
    assert listen_directive(8080, True) == ipv4 + "listen [::]:8080;\n"
    assert listen_directive(80, True, listen=["10.0.0.1", "::1"]).endswith("\nlisten 10.0.0.1:80;\nlisten [::1]:80;\n")
    assert listen_ports(ipv4) == listen_ports(listen_directive(8080, True, True)) == {8080}
    assert listen_directive(8080, True, True).endswith("\nlisten 8080 ssl;\nlisten [::]:8080 ssl;\n")

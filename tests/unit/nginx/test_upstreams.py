"""The upstreams that Nginx includes: their text, and what is read back from it."""

import re

import pytest

from nginx.gate.access import VARIABLES
from nginx.gate.bypass import GROUPS, bypass_file, bypass_group
from nginx.gate.clients import Access, render_access
from nginx.gate.limits import Clients, render_limits
from nginx.gate.upstreams import listed_pools, listed_servers, render_upstreams
from scripts.cluster.config import ROOT
from tests.unit.nginx.peers import LISTED, C


def test_upstreams_are_rendered_as_this_exact_text() -> None:
    assert render_upstreams({"photos": LISTED, "other": {"other-0": "[fd00::1]:8083"}}) == (
        "# Rendered by the gate: the workers that answer. Do not edit: every change rewrites this file.\n"
        "\n"
        "upstream gate {\n"
        "    server 127.0.0.1:1 down;\n"
        "}\n"
        "\n"
        "upstream pool_photos {\n"
        "    zone pool_photos 256k;\n"
        "    least_conn;\n"
        "    server 127.0.0.1:8081 max_fails=3 fail_timeout=5s;  # photos-0\n"
        "    server 127.0.0.1:8082 max_fails=3 fail_timeout=5s;  # photos-1\n"
        "    keepalive 32;\n"
        "    keepalive_timeout 60s;\n"
        "}\n"
        "upstream bypass0_pool_photos {\n"
        "    least_conn;\n"
        "    server 127.0.0.1:8082 max_fails=3 fail_timeout=5s;  # photos-1\n"
        "}\n"
        "upstream bypass1_pool_photos {\n"
        "    least_conn;\n"
        "    server 127.0.0.1:8081 max_fails=3 fail_timeout=5s;  # photos-0\n"
        "}\n"
        "upstream bypass2_pool_photos {\n"
        "    least_conn;\n"
        "    server 127.0.0.1:8081 max_fails=3 fail_timeout=5s;  # photos-0\n"
        "    server 127.0.0.1:8082 max_fails=3 fail_timeout=5s;  # photos-1\n"
        "}\n"
        "upstream bypass3_pool_photos {\n"
        "    least_conn;\n"
        "    server 127.0.0.1:8081 max_fails=3 fail_timeout=5s;  # photos-0\n"
        "    server 127.0.0.1:8082 max_fails=3 fail_timeout=5s;  # photos-1\n"
        "}\n"
        "\n"
        "upstream pool_other {\n"
        "    zone pool_other 256k;\n"
        "    least_conn;\n"
        "    server [fd00::1]:8083 max_fails=3 fail_timeout=5s;  # other-0\n"
        "    keepalive 32;\n"
        "    keepalive_timeout 60s;\n"
        "}\n"
        + "".join(
            f"upstream bypass{group}_pool_other {{\n"
            "    least_conn;\n"
            "    server [fd00::1]:8083 max_fails=3 fail_timeout=5s;  # other-0\n"
            "}\n"
            for group in range(4)
        )
        + "\n"
        'map "" $default_model {\n'
        '    default "";\n'
        "}\n"
        "\n"
        "map /$model$default_model $pool {\n"
        "    / pool_photos;\n"
        "    /photos pool_photos;\n"
        "    /other pool_other;\n"
        "}\n"
        "\n"
        "map /$body_model $body_pool {\n"
        '    default "";\n'
        "    /photos pool_photos;\n"
        "    /other pool_other;\n"
        "}\n"
        "\n"
        'map "" $known_models {\n'
        '    default "photos, other";\n'
        "}\n"
        "\n"
        "client_max_body_size 32m;\n"
        "\n"
        'map "" $max_body {\n'
        '    default "32 MB";\n'
        "}\n"
        "\n"
        "map $http_origin $cors_origin {\n"
        '    default "";\n'
        "}\n"
        "\n"
        'map "" $cors_vary {\n'
        '    default "";\n'
        "}\n"
        "\n"
        "map $https $strict_transport_security {\n"
        '    on "";\n'
        '    default "";\n'
        "}\n"
        + "".join(f"{line}\n" for line in [*render_access(Access()), *render_limits(32, None, Clients())])
        + '\nmap "" $keys {\n    default "off";\n}\n'
        + "".join(f'\nmap "" ${name} {{\n    default "";\n}}\n' for name in VARIABLES)
    )


def test_an_empty_pool_gets_a_placeholder_server() -> None:
    text = render_upstreams({"photos": {}, "other": {"other-0": C.address}})
    assert "upstream pool_photos {\n    zone pool_photos 256k;\n    least_conn;\n    server 127.0.0.1:1 down;\n" in text
    assert "upstream bypass0_pool_photos {\n    least_conn;\n    server 127.0.0.1:1 down;\n" in text
    assert text.count(" down;") == 2 + GROUPS  # the gate's metrics, too


def test_the_zone_and_the_idle_connections_grow_with_the_pool() -> None:
    sizes = {}
    for workers in (1, 32, 96, 97, 400, 4000):
        text = render_upstreams({"photos": {f"w{number}": f"10.0.0.1:{number}" for number in range(workers)}})
        zone, idle = re.search(r"zone pool_photos (\d+)k;", text), re.search(r"keepalive (\d+);", text)
        sizes[workers] = (zone and int(zone[1]), idle and int(idle[1]))
    assert sizes == {1: (256, 32), 32: (256, 32), 96: (256, 96), 97: (258, 97), 400: (864, 400), 4000: (8064, 512)}


@pytest.mark.parametrize(
    ("models", "length", "left"), [(1, 64, 0), (100, 10, 0), (30, 64, 0), (31, 64, 1), (500, 64, 470)]
)
def test_the_error_of_an_unknown_model_names_as_many_models_as_fit(models: int, length: int, left: int) -> None:
    names = [f"m{number}".ljust(length, "x") for number in range(models)]
    rendered = render_upstreams({name: {} for name in names})
    known = rendered.partition('$known_models {\n    default "')[2].partition('"')[0]
    rest = f" and {left} more, which GET /models lists" if left else ""
    assert known == ", ".join(names[: models - left]) + rest


def test_nginx_sends_the_answers_to_the_gate_once_it_listens() -> None:
    target = "access_log syslog:server=127.0.0.1:7,nohostname,tag=x"
    line = f"\n{target} answers if=$counted;\n{target} full if=$bodies_full;\n"
    assert line in render_upstreams({"photos": LISTED}, "syslog:server=127.0.0.1:7,nohostname,tag=x")
    assert "access_log" not in render_upstreams({"photos": LISTED})


def test_a_bypass_leaves_out_one_group_and_routes_conf_asks_about_each() -> None:
    text = render_upstreams({"photos": {f"photos-{number}": f"10.0.0.{number}:1" for number in range(9)}})
    routes = (ROOT / "nginx/routes.conf").read_text()
    for group in range(GROUPS):
        block = text.partition(f"upstream bypass{group}_pool_photos {{")[2].partition("}")[0]
        left_out = [number for number in range(9) if f" 10.0.0.{number}:1 " not in block]
        assert left_out == [number for number in range(9) if bypass_group(number) == group]
        file = bypass_file("", group).replace("pool_", "${pool}")
        assert f"if (-f $document_root/{file}) {{ set $upstream bypass{group}_$pool; }}" in routes
    assert routes.count("if (-f $document_root/bypass.") == GROUPS


def test_the_listed_servers_can_be_read_back() -> None:
    pools = {"photos": LISTED, "other": {"other-0": "[fd00::1]:8083"}, "third": {}}
    assert listed_servers(render_upstreams(pools)) == {**LISTED, "other-0": "[fd00::1]:8083"}
    assert listed_pools(render_upstreams(pools)) == pools
    assert listed_servers("") == {}

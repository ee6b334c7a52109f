"""The limits of bodies, requests and connections, as directives."""

import json
import re

import pytest

from nginx.gate.answers import FULL_GAP_S
from nginx.gate.limits import BODIES_PER_MB, CLASSES, MEBIBYTE, Clients, render_limits
from nginx.gate.members import MembersError
from nginx.gate.options import parse_options
from scripts.cluster import schema
from scripts.cluster.config import ROOT, parse_cluster
from scripts.render.gateway import BODIES_PER_MB as RENDERED_PER_MB
from scripts.render.gateway import gateway_bytes

MODEL = '[[models]]\nname = "a"\nfolder = "b"\n'


def counts(lines: list[str]) -> dict[str, int]:
    return {name: int(most) for name, most in re.findall(r"^limit_conn (\w+) (\d+);$", "\n".join(lines), re.MULTILINE)}


def test_the_defaults_render_as_these_counts() -> None:
    assert counts(render_limits(32, None, Clients())) == {
        "tiny_bodies": 2684, "small_bodies": 536, "medium_bodies": 80, "large_bodies": 16,
        "client_tiny_bodies": 2348, "client_small_bodies": 469, "client_medium_bodies": 70, "client_large_bodies": 14,
        "client_connections": 256,
    }  # fmt: skip


@pytest.mark.parametrize("max_body_mb", [1, 9, 32, 1024])
@pytest.mark.parametrize("factor", [4, 64, 1000])
def test_all_bodies_of_the_largest_size_fill_no_more_than_is_given(max_body_mb: int, factor: int) -> None:
    found = counts(render_limits(max_body_mb, factor * max_body_mb, Clients(bodies_mb=0, connections=0)))
    assert set(found) == {f"{name}_bodies" for name in CLASSES}
    largest = {name: min(size or max_body_mb * MEBIBYTE, max_body_mb * MEBIBYTE) for name, (size, _) in CLASSES.items()}
    held = {name: found[f"{name}_bodies"] * size for name, size in largest.items()}
    assert sum(held.values()) <= factor * max_body_mb * MEBIBYTE
    assert min(found.values()) >= 1


def test_the_parts_are_a_whole_and_the_containers_have_room_for_them() -> None:
    assert sum(part for _, part in CLASSES.values()) == 8
    assert RENDERED_PER_MB == BODIES_PER_MB
    on_disk = CLASSES["medium"][1] + CLASSES["large"][1]
    for text, bodies in (("", 2048), ("[gateway]\nbodies_mb = 160\n", 160), ("[limits]\nmax_body_mb = 5\n", 320)):
        tmp, memory = gateway_bytes(parse_cluster(text + MODEL, "c.toml"))
        assert tmp > bodies * MEBIBYTE * on_disk // 8
        assert memory > bodies * MEBIBYTE + (tmp - bodies * MEBIBYTE * on_disk // 8)


def test_nginx_conf_has_a_counter_for_each_class_and_keeps_the_smaller_ones_in_memory() -> None:
    text = (ROOT / "nginx/nginx.conf").read_text()
    for name in CLASSES:
        assert re.search(rf"limit_conn_zone \${name}_body +zone={name}_bodies:", text)
        assert re.search(rf"limit_conn_zone \$client_{name}_body +zone=client_{name}_bodies:", text)
    assert "client_body_buffer_size 1m;" in text


def test_requests_a_second_are_those_that_workers_answer() -> None:
    start, location, *others = (ROOT / "nginx/routes.conf").read_text().split("\nlocation ")
    assert [re.findall(r"set \$worker_client (\S+);", part) for part in (start, location)] == [['""'], ["$client"]]
    assert not any("$worker_client" in part for part in others)
    assert "proxy_pass http://$upstream;" in location


def test_nginx_is_not_reloaded_again_before_its_old_processes_have_ended() -> None:
    assert f"worker_shutdown_timeout {FULL_GAP_S:g}s;" in (ROOT / "nginx/nginx.conf").read_text()


def test_requests_a_second_are_limited_if_they_are_given() -> None:
    assert render_limits(32, None, Clients(requests_s=9, burst=0))[-1] == "limit_req zone=client_requests;"
    assert render_limits(32, None, Clients(requests_s=9, burst=3))[-2:] == [
        "limit_req_zone $worker_client zone=client_requests:10m rate=9r/s;",
        "limit_req zone=client_requests burst=3 nodelay;",
    ]
    assert not any("limit_req" in line for line in render_limits(32, None, Clients()))


def test_the_gate_reads_what_is_rendered_and_has_its_defaults() -> None:
    assert Clients() == Clients(**vars(schema.Clients()))
    given = json.dumps({"gateway": {"clients": {"connections": 0, "bodies_mb": None}}})
    assert parse_options(given).clients == Clients(connections=0)


@pytest.mark.parametrize("given", [[], {"x": 1}, {"burst": -1}, {"burst": None}, {"requests_s": "1"}, {"burst": True}])
def test_invalid_limits_are_refused(given: object) -> None:
    with pytest.raises(MembersError, match=r"^gateway/clients"):
        parse_options(json.dumps({"gateway": {"clients": given}}))

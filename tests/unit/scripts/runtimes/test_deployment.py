"""Which ports workers have: those after the gateway's, or those that a running service has given them."""

from pathlib import Path

import pytest

from scripts.base.errors import Refusal
from scripts.cluster.config import Cluster, parse_cluster
from scripts.cluster.models import Served
from scripts.cluster.plan import Plan, plan
from scripts.runtimes.deployment import Site, afresh, keep_ports
from scripts.runtimes.run_directory import RunDir
from tests.unit.hardware import recorded

FREE = {"photos-0": 8081, "wide-0": 8082}


def clustered(port: int = 8080) -> Cluster:
    return parse_cluster(
        f'port = {port}\n[[models]]\nname = "photos"\nfolder = "a"\n[[models]]\nname = "wide"\nfolder = "b"\n', "c.toml"
    )


def planned(port: int = 8080) -> Plan:
    return plan(clustered(port), {"this": recorded("two-cores")})


def ports(found: Plan) -> dict[str, int]:
    return {worker.name: worker.port for worker in found.workers}


def test_where_nothing_runs_the_ports_are_those_of_the_plan() -> None:
    assert ports(keep_ports(planned(), {}, lambda port: False)) == FREE


def test_workers_that_run_keep_theirs_and_new_ones_take_the_next_that_nobody_has() -> None:
    known = {"photos-0": 8083, "gone-0": 8081}
    assert ports(keep_ports(planned(), known, lambda port: True)) == {"photos-0": 8083, "wide-0": 8082}
    assert ports(keep_ports(planned(), known, lambda port: port != 8082)) == {"photos-0": 8083, "wide-0": 8084}
    assert ports(keep_ports(planned(), {"a-0": 8081, "a-1": 8082}, lambda port: True)) == {
        "photos-0": 8083, "wide-0": 8084,
    }  # fmt: skip


def test_where_no_port_is_left_the_gateways_must_be_lower() -> None:
    with pytest.raises(Refusal) as refusal:
        keep_ports(planned(65533), {"a-0": 65534, "a-1": 65535}, lambda port: True)
    assert refusal.value.lines == ("port: found no free one above 65533 for photos-0: choose a lower port",)


def test_a_site_that_begins_afresh_has_the_ports_of_the_plan(tmp_path: Path) -> None:
    moved = keep_ports(planned(), {"a-0": 8081, "a-1": 8082}, lambda port: True)
    models = {name: Served("openvino", Path("a.png"), 1) for name in ("photos", "wide")}
    site = Site(clustered(), recorded("two-cores"), models, moved, RunDir(tmp_path))
    assert ports(afresh(site).plan) == FREE

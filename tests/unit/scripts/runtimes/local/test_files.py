"""What is read back from the files of a local service."""

import os
import pwd
from pathlib import Path

from scripts.cluster.config import parse_cluster
from scripts.cluster.plan import plan
from scripts.render.common import addresses
from scripts.render.gateway import listen_directive, members
from scripts.runtimes.local.files import gateway_ports, worker_ports
from scripts.runtimes.local.layout import create
from scripts.runtimes.run_directory import run_dir
from tests.unit.hardware import recorded

OWN = pwd.getpwuid(os.geteuid())


def test_the_ports_of_a_local_service_are_read_back(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    assert (worker_ports(run), gateway_ports(run)) == ({}, set())
    cluster = parse_cluster('port = 9000\n[[models]]\nname = "m"\nfolder = "m"\n', "c.toml")
    planned = plan(cluster, {"this": recorded("two-cores")})
    files = {
        "gateway/rendered/members.json": members(
            cluster, planned, addresses(cluster, planned, {"m-0": 9001, "m-1": 9002})
        )
    }
    create(run, files | {"gateway/rendered/listen.conf": listen_directive(cluster.port, True)}, OWN)
    assert worker_ports(run) == {"m-0": 9001, "m-1": 9002}
    assert gateway_ports(run) == {9000}
    run.write({"gateway/rendered/members.json": "half"})
    assert (worker_ports(run), gateway_ports(run)) == ({}, {9000})

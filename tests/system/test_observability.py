"""`make up OBSERVABILITY=1` under Compose: Prometheus in a container of its own scrapes the gate of the service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.base.http import get
from scripts.cluster.config import load_cluster
from scripts.host import docker
from scripts.render.observability import environment
from scripts.runtimes.compose.containers import project
from scripts.runtimes.observability import SOURCE
from scripts.runtimes.preflight import port_faults
from scripts.runtimes.run_directory import run_dir
from tests.service import Service, free_ports
from tests.system.conftest import compose_service
from tests.wait import until


@pytest.fixture
def port() -> int:
    """That of Prometheus."""
    return free_ports(1)


@pytest.fixture
def watched(slow: Path, tmp_path: Path, port: int) -> Iterator[Service]:
    table = f"[metrics]\nprometheus_port = {port}\n"
    service = compose_service(tmp_path / "watched", slow, "drain_s = 0\n", table)
    result = service.make("up", "OBSERVABILITY=1")
    assert result.returncode == 0, result.stdout + result.stderr
    yield service
    service.make("down")


def test_it_scrapes_both_workers_by_the_gate_and_down_leaves_nothing(watched: Service, port: int) -> None:
    def workers() -> set[str]:
        _, answer = get(f"http://127.0.0.1:{port}/api/v1/query?query=wanwu_resident_memory_bytes", 60)
        rows: list[dict[str, Any]] = answer["data"]["result"]
        return {row["metric"]["worker"] for row in rows}

    until("both are there", lambda: workers() == {"slow-0", "slow-1"})
    assert get(f"{watched.endpoint}/metrics")[0] == 200
    own = f"{project(run_dir(watched.run_dir))}-observability"
    container = docker.inspect("container", [f"{own}-prometheus-1"])[0]
    assert (container["HostConfig"]["Memory"], container["HostConfig"]["ReadonlyRootfs"]) == (1 << 30, True)
    with_grafana = environment(load_cluster(watched.cluster), "p", "net", "grafana/grafana:9")
    (watched.run_dir / "grafana.env").write_text(with_grafana)
    files = ["--env-file", str(watched.run_dir / "grafana.env"), "--file", str(SOURCE / "compose.yaml")]
    assert set(docker.run(["compose", *files, "config", "--services"]).split()) == {"grafana", "prometheus"}
    watched.down()
    assert docker.inspect("container", [f"{own}-prometheus-1"]) == []
    assert own not in docker.run(["volume", "ls", "--quiet"]) + docker.run(["network", "ls"])
    assert port_faults([port]) == []

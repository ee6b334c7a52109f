"""`make up OBSERVABILITY=1` under Compose, of a model on the torch engine: a Prometheus of its own scrapes the gate."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from scripts.base.http import get
from scripts.cluster.config import load_cluster
from scripts.host import docker
from scripts.render.observability import environment
from scripts.runtimes.compose.containers import project
from scripts.runtimes.observability import SOURCE
from scripts.runtimes.preflight import port_faults
from scripts.runtimes.run_directory import run_dir
from tests.folders import torchvision_folder
from tests.service import Service, free_ports
from tests.system.conftest import ServiceFactory
from tests.system.containers import Container, status
from tests.wait import until
from worker.models.folder import read_folder

ANSWER_S = 60  # of an engine, a gateway or a Prometheus on a busy machine


@dataclass(frozen=True)
class Watched:
    """A service of the model in `folder`, and the port of its Prometheus."""

    service: Service
    folder: Path
    port: int


@pytest.fixture(scope="module")
def watched(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    home = tmp_path_factory.mktemp("watched")
    kitchen, port = ServiceFactory(home), free_ports(1)
    model = torchvision_folder(home / "small")
    service = kitchen.make(model, extra=f"[metrics]\nprometheus_port = {port}\n")
    try:
        result = service.make("up", "OBSERVABILITY=1")
        assert result.returncode == 0, result.stdout + result.stderr
        yield Watched(service, model, port)
    finally:
        service.make("down")
        kitchen.close()


def test_a_model_on_the_torch_engine_gets_its_image_and_answers(watched: Watched) -> None:
    service, folder = watched.service, watched.folder
    body, headers = (folder / "golden/one.png").read_bytes(), {"Content-Type": "image/png"}
    answer = requests.post(f"{service.endpoint}/predict", data=body, headers=headers, timeout=ANSWER_S).json()
    assert {worker["engine"] for worker in status(service).values()} == {"torch"}
    assert answer["predictions"][0]["index"] == read_folder(folder).golden[0].index
    assert Container(service, "small-0").inspect()["Config"]["Image"].startswith("wanwu-worker-torch:")


def test_it_scrapes_both_workers_by_the_gate_and_down_leaves_nothing(watched: Watched) -> None:
    service = watched.service

    def workers() -> set[str]:
        _, answer = get(f"http://127.0.0.1:{watched.port}/api/v1/query?query=wanwu_resident_memory_bytes", ANSWER_S)
        rows: list[dict[str, Any]] = answer.get("data", {}).get("result", [])
        return {row["metric"]["worker"] for row in rows}

    until("both are there", lambda: workers() == {"small-0", "small-1"})
    until("the gateway shows them, too", lambda: get(f"{service.endpoint}/metrics", ANSWER_S)[0] == 200)
    own = f"{project(run_dir(service.run_dir))}-observability"
    container = docker.inspect("container", [f"{own}-prometheus-1"])[0]
    assert (container["HostConfig"]["Memory"], container["HostConfig"]["ReadonlyRootfs"]) == (1 << 30, True)
    with_grafana = environment(load_cluster(service.cluster), "p", "net", "grafana/grafana:9")
    (service.run_dir / "grafana.env").write_text(with_grafana)
    files = ["--env-file", str(service.run_dir / "grafana.env"), "--file", str(SOURCE / "compose.yaml")]
    assert set(docker.run(["compose", *files, "config", "--services"]).split()) == {"grafana", "prometheus"}
    service.down()
    assert docker.inspect("container", [f"{own}-prometheus-1"]) == []
    assert own not in docker.run(["volume", "ls", "--quiet"]) + docker.run(["network", "ls"])
    assert port_faults([watched.port]) == []

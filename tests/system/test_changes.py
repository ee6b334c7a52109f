"""A service that the previous release started under Compose: upgraded, brought back and changed, under load."""

import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import requests

from scripts.cluster.config import ROOT
from scripts.host import docker
from tests.bootstrap.bundles import link
from tests.cluster.load import open_load
from tests.commands.test_changes import RELEASE
from tests.folders import openvino_folder
from tests.service import Service
from tests.system.conftest import ServiceFactory, metrics_port
from tests.system.containers import project, workers_in

RATE_S = 4


def images(service: Service) -> dict[str, str]:
    """The image of each part that runs."""
    chosen = f"label=com.docker.compose.project={project(service)}"
    shown = '{{.Label "com.docker.compose.service"}} {{.Image}}'
    return dict(row.split() for row in docker.run(["ps", "--filter", chosen, "--format", shown]).splitlines())


def give_packages(root: Path) -> None:
    """Give another kit the wheels and lists that this one has: what both install, the engine then builds once.

    The archive has no lists of torch, which no image here installs.
    """
    if (ROOT / "wheelhouse").is_dir():
        shutil.copytree(ROOT / "wheelhouse", root / "wheelhouse", copy_function=link)
    for path in (ROOT / "worker/requirements").glob("*.txt"):
        own = root / "worker/requirements" / path.name
        if not own.exists() or own.read_bytes() == path.read_bytes():
            shutil.copy(path, own)  # with its mode, to which the engine looks, too


def made(service: Service, *arguments: str) -> list[str]:
    """The warnings of a command that succeeded."""
    done = service.make(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("!! ")]


def test_a_service_is_upgraded_brought_back_and_changed_without_losing_a_request(
    kitchen: ServiceFactory, tmp_path: Path
) -> None:
    model = openvino_folder(tmp_path / "bright")
    service, image = kitchen.make(model), model / "golden/one.png"
    former = replace(service, root=tmp_path / "former")
    with tarfile.open(RELEASE) as archive:
        archive.extractall(former.root)  # noqa: S202 - it is our own
    shutil.copytree(ROOT / "nginx/web", former.root / "nginx/web")  # the archive has no page
    give_packages(former.root)
    former.up()
    before = images(service)
    with open_load("127.0.0.1", service.port, image, RATE_S) as load:
        (line,) = made(service, "up")
        assert "`make up FORCE=1` replaces it" in line
        assert workers_in(service) == {"bright-2", "bright-3"}
        assert images(service)["gateway"] == before["gateway"]
        assert images(service)["bright-2"] != before["bright-0"]
        made(service, "rollback")
        assert images(service) == before
    assert load.lost == []

    metrics = metrics_port(service)
    text = f"metrics.port = {metrics}\n{service.cluster.read_text()}"
    service.cluster.write_text(text)
    made(service, "up", "FORCE=1")
    upgraded = images(service)
    assert upgraded["gateway"] == upgraded["entrance"] != before["gateway"]
    with open_load("127.0.0.1", service.port, image, RATE_S) as load:
        service.cluster.write_text(f"{text}queue = 40\n[gateway]\nbodies_mb = 2000\n")
        assert "-- replacing the gateway" in service.up()
        changed = workers_in(service)
        assert not changed & upgraded.keys()
        assert requests.get(f"http://127.0.0.1:{metrics}/metrics", timeout=60).ok
        made(service, "rollback")
        assert service.cluster.read_text() == text
        assert images(service) == upgraded
    assert load.lost == []

    service.cluster.write_text(text.replace(f"port = {service.port}", f"port = {service.port + 1}"))
    done = service.make("up")
    service.cluster.write_text(text)
    assert done.stderr.splitlines()[:2] == [
        f"!! port: clients find {service.port}:8080, 127.0.0.1:{metrics}:9145 until now, "
        f"and then {service.port + 1}:8080, 127.0.0.1:{metrics}:9145",
        "!! this stops what serves until the new workers are ready: FORCE=1 does it",
    ]
    assert images(service) == upgraded

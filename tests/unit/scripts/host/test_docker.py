"""The messages about a Docker engine that is unsuitable or missing."""

import pytest

from scripts.cluster.config import ROOT
from scripts.host import docker


@pytest.mark.parametrize("name", ["init-server.sh", "docker-engine.sh"])
def test_the_scripts_that_install_docker_need_the_same_versions(name: str) -> None:
    script = (ROOT / "scripts" / name).read_text()
    for what, least in {"DOCKER": docker.LEAST_ENGINE, "COMPOSE": docker.LEAST_COMPOSE}.items():
        assert f"{what}_AT_LEAST={'.'.join(map(str, least))}\n" in script

"""The messages about a Docker engine that is unsuitable or missing."""

import pytest

from scripts.cluster.config import ROOT
from scripts.host import docker


@pytest.mark.parametrize("name", ["init-server.sh", "docker-engine.sh"])
def test_the_scripts_that_install_docker_need_the_same_versions(name: str) -> None:
    script = (ROOT / "scripts" / name).read_text()
    for name_part, minimum in {"DOCKER": docker.MIN_ENGINE, "COMPOSE": docker.MIN_COMPOSE}.items():
        assert f"{name_part}_AT_LEAST={'.'.join(map(str, minimum))}\n" in script

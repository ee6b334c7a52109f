"""The versions of Docker that all scripts name."""

import re

from scripts.cluster.config import ROOT
from scripts.host import docker


def test_the_script_that_installs_docker_needs_the_same_versions_and_init_server_sh_names_them() -> None:
    script = (ROOT / "scripts/docker-engine.sh").read_text()
    for name_part, minimum in {"DOCKER": docker.MIN_ENGINE, "COMPOSE": docker.MIN_COMPOSE}.items():
        assert f"{name_part}_AT_LEAST={'.'.join(map(str, minimum))}\n" in script
    manual = (ROOT / "scripts/init-server.sh").read_text()
    assert re.findall(r"version (\d+) or newer with Compose ([\d.]+) or newer", manual) == [
        (str(docker.MIN_ENGINE[0]), ".".join(map(str, docker.MIN_COMPOSE)))
    ]

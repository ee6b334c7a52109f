"""What is said of an engine that will not do, and of one that is not there."""

from scripts.cluster.config import ROOT
from scripts.host import docker


def test_the_init_script_needs_the_same_engine() -> None:
    script = (ROOT / "scripts/init-server.sh").read_text()
    for name, least in {"DOCKER": docker.LEAST_ENGINE, "COMPOSE": docker.LEAST_COMPOSE}.items():
        assert f"{name}_AT_LEAST={'.'.join(map(str, least))}\n" in script

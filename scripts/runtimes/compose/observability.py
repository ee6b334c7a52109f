"""Prometheus and Grafana as a Compose project of their own, beside the service's."""

from scripts.cluster.config import Cluster
from scripts.host import docker, images
from scripts.render import observability as render
from scripts.runtimes.compose.containers import project
from scripts.runtimes.observability import SOURCE, require_port
from scripts.runtimes.run_directory import RunDir

ENVIRONMENT = "observability.env"  # in the run directory, as are the others
GRAFANA = "grafana/grafana"


def is_on(run: RunDir) -> bool:
    return (run.path / ENVIRONMENT).exists()


def prepare(cluster: Cluster, run: RunDir) -> None:
    if not is_on(run):
        require_port(cluster)
    images.ensure([images.PROMETHEUS])


def start(cluster: Cluster, run: RunDir) -> str:
    """Start both; return why there is no Grafana, or ""."""
    grafana = docker.run(["images", "--filter", f"reference={GRAFANA}", "--format", "{{.Repository}}:{{.Tag}}"]).split()
    network = f"{project(run)}_workers"  # where the gateway is, too, and no way out
    found = grafana[0] if grafana else ""
    run.write({ENVIRONMENT: render.environment(cluster, images.PROMETHEUS.reference, network, found)})
    docker.run([*_project(run), "up", "--detach", "--remove-orphans"])
    return "" if found else f"found no image {GRAFANA} here"


def stop(run: RunDir) -> None:
    if is_on(run):
        docker.run([*_project(run), "down", "--volumes", "--remove-orphans"])
        (run.path / ENVIRONMENT).unlink()


def _project(run: RunDir) -> list[str]:
    files = ["--env-file", str(run.path / ENVIRONMENT), "--file", str(SOURCE / "compose.yaml")]
    return ["compose", "--project-name", f"{project(run)}-observability", *files]

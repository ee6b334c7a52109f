"""No Prometheus beside a cluster: one of the site's own scrapes every gateway."""

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.runtimes.run_directory import RunDir


def is_on(run: RunDir) -> bool:
    return False


def prepare(cluster: Cluster, run: RunDir) -> None:
    raise CommandError(
        "OBSERVABILITY: found the swarm runtime, needed local or compose: set [metrics] port in "
        "cluster.toml and scrape every gateway from a Prometheus of yours, with the files of compose/observability"
    )


def start(cluster: Cluster, run: RunDir) -> str:
    return ""


def stop(run: RunDir) -> None:
    """Do nothing: none was started."""

"""Prometheus, and Grafana where its image is there, beside a service: `make up OBSERVABILITY=1`.

How they run is the runtime's; the service is the same with and without them.
"""

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.cluster.config import ROOT, Cluster
from scripts.runtimes.preflight import port_faults
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.runtime import Runtime

SOURCE = ROOT / "compose/observability"
START_TIMEOUT_S = 300  # it takes two, and a busy machine far longer


def require_port(cluster: Cluster) -> None:
    """Raise CommandError if another program has the port of Prometheus."""
    if faults := port_faults([cluster.metrics.prometheus_port]):
        raise CommandError(*(f"[metrics] prometheus_port: {fault}" for fault in faults))


def start(runtime: Runtime, cluster: Cluster, run: RunDir) -> None:
    """Start it for the service that runs from `run`, or again if it changed, and print its addresses."""
    step("starting Prometheus")
    no_grafana = runtime.observability.start(cluster, run)
    url = f"http://127.0.0.1:{cluster.metrics.prometheus_port}"
    if not wait_until(lambda: get(f"{url}/-/ready")[0] == 200, START_TIMEOUT_S):
        raise CommandError(f"{url}: Prometheus does not answer: see `make logs`, and {run.logs / 'prometheus.log'}")
    say(f"\nPrometheus: {url}/alerts")
    dashboard = f"{SOURCE.relative_to(ROOT)}/dashboard.json"
    import_it = f"no Grafana: {no_grafana}: import {dashboard} into one of yours"
    say(import_it if no_grafana else f"Grafana: http://127.0.0.1:{cluster.metrics.grafana_port}/")

"""Prometheus, and Grafana where its image is there, beside a service: `make up OBSERVABILITY=1`.

Under the local runtime Prometheus is a program of its supervisord, under Compose a project of its own. The service is
the same with and without them.
"""

import os
import shutil
import subprocess

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.programs import search_path
from scripts.base.waiting import wait_until
from scripts.cluster.config import ROOT, Cluster
from scripts.host import docker, images
from scripts.host.packages import PROMETHEUS, installable, require
from scripts.render import observability as render
from scripts.runtimes.compose.containers import project
from scripts.runtimes.local import supervisor
from scripts.runtimes.preflight import port_faults
from scripts.runtimes.run_directory import RunDir

SOURCE = ROOT / "compose/observability"
ENVIRONMENT = "observability.env"  # in the run directory, as are the others
HOME = "observability"
RENDERED = f"rendered/{render.PROGRAM}.conf"
LINKED = ("prometheus.yml", "rules.yml", "alerts.yml")
TARGETS, TARGET = "targets.json", "../gateway/rendered/target.json"  # of the gate
GRAFANA = "grafana/grafana"
START_TIMEOUT_S = 300  # it takes two, and a busy machine far longer


def is_on(run: RunDir) -> bool:
    """Return whether it was started for the service in `run`."""
    return (run.path / RENDERED).exists() or (run.path / ENVIRONMENT).exists()


def prepare(runtime: str, cluster: Cluster, run: RunDir) -> None:
    """Install or build what is missing, before the service is started; raise CommandError if that is impossible."""
    if runtime == "swarm":
        raise CommandError(
            "OBSERVABILITY: found the swarm runtime, needed local or compose: set [metrics] port in cluster.toml and "
            "scrape every gateway from a Prometheus of yours, with the files of compose/observability"
        )
    if not is_on(run) and (faults := port_faults([cluster.metrics.prometheus_port])):
        raise CommandError(*(f"[metrics] prometheus_port: {fault}" for fault in faults))
    if runtime == "compose":
        images.ensure([images.PROMETHEUS])
    elif installable(PROMETHEUS):
        require(PROMETHEUS)
        _leave_to_us()


def start(cluster: Cluster, run: RunDir) -> None:
    """Start it for the service that runs from `run`, or again if it changed, and print its addresses."""
    step("starting Prometheus")
    grafana = _start_containers(cluster, run) if run.runtime == "compose" else _start_program(cluster, run)
    url = f"http://127.0.0.1:{cluster.metrics.prometheus_port}"
    if not wait_until(lambda: get(f"{url}/-/ready")[0] == 200, START_TIMEOUT_S):
        raise CommandError(f"{url}: Prometheus does not answer: see `make logs`, and {run.logs / 'prometheus.log'}")
    say(f"\nPrometheus: {url}/alerts")
    dashboard = f"{SOURCE.relative_to(ROOT)}/dashboard.json"
    missing = f"found no image {GRAFANA} here" if run.runtime == "compose" else "Debian has no package of it"
    import_it = f"no Grafana: {missing}: import {dashboard} into one of yours"
    say(f"Grafana: http://127.0.0.1:{cluster.metrics.grafana_port}/" if grafana else import_it)


def stop(run: RunDir) -> None:
    """End it, if it was started for the service in `run`, and remove what it kept."""
    if (run.path / ENVIRONMENT).exists():
        docker.run([*_compose(run), "down", "--volumes", "--remove-orphans"])
        (run.path / ENVIRONMENT).unlink()
    if (run.path / RENDERED).exists():
        supervisor.remove(run, [render.PROGRAM])
        (run.path / RENDERED).unlink()
        shutil.rmtree(run.path / HOME, ignore_errors=True)


def _start_program(cluster: Cluster, run: RunDir) -> bool:
    home, text = run.path / HOME, render.program(cluster)
    running = supervisor.processes(run).keys()
    if render.PROGRAM in running and run.has_files({RENDERED: text}):
        return False
    supervisor.remove(run, [render.PROGRAM])
    (home / "data").mkdir(parents=True, exist_ok=True)
    for name, target in {**{name: str(SOURCE / name) for name in LINKED}, TARGETS: TARGET}.items():
        (home / name).unlink(missing_ok=True)
        (home / name).symlink_to(target)
    if os.geteuid() == 0:
        owner = run.logs.stat()  # the account of the service's processes
        os.chown(home / "data", owner.st_uid, owner.st_gid)
    run.write({RENDERED: text})
    supervisor.add(run, render.PROGRAM)
    return False


def _start_containers(cluster: Cluster, run: RunDir) -> bool:
    grafana = docker.run(["images", "--filter", f"reference={GRAFANA}", "--format", "{{.Repository}}:{{.Tag}}"]).split()
    found = grafana[0] if grafana else ""
    network = f"{project(run)}_workers"  # where the gateway is, too, and no way out
    run.write({ENVIRONMENT: render.environment(cluster, images.PROMETHEUS.reference, network, found)})
    docker.run([*_compose(run), "up", "--detach", "--remove-orphans"])
    return bool(found)


def _compose(run: RunDir) -> list[str]:
    files = ["--env-file", str(run.path / ENVIRONMENT), "--file", str(SOURCE / "compose.yaml")]
    return ["compose", "--project-name", f"{project(run)}-observability", *files]


def _leave_to_us() -> None:
    """Keep the package's own service from taking the port at the next boot."""
    if systemctl := shutil.which("systemctl", path=search_path()):
        subprocess.run([systemctl, "disable", "--quiet", "prometheus"], capture_output=True)

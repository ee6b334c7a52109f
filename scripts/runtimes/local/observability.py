"""Prometheus as a program of the service's supervisord."""

import os
import shutil

from scripts.cluster.config import Cluster
from scripts.host.packages import PROMETHEUS, require_without_unit
from scripts.render import observability as render
from scripts.runtimes.local import supervisor
from scripts.runtimes.observability import SOURCE, require_port
from scripts.runtimes.run_directory import RunDir

HOME = "rendered/observability"  # below a folder of the command, where the account of the service puts no links
RENDERED = f"rendered/{render.PROGRAM}.conf"
LINKED = ("prometheus.yml", "rules.yml", "alerts.yml")
TARGETS, TARGET = "targets.json", "../../gateway/rendered/target.json"  # of the gate


def is_on(run: RunDir) -> bool:
    return (run.path / RENDERED).exists()


def prepare(cluster: Cluster, run: RunDir) -> None:
    if not is_on(run):
        require_port(cluster)
    require_without_unit(PROMETHEUS, "prometheus.service")


def start(cluster: Cluster, run: RunDir) -> str:
    """Start it unless it runs as it should; return why there is no Grafana."""
    text = render.program(cluster)
    if render.PROGRAM not in supervisor.processes(run) or not run.has_files({RENDERED: text}):
        supervisor.remove(run, [render.PROGRAM])
        _make_home(run)
        run.write({RENDERED: text})
        supervisor.add(run, render.PROGRAM)
    return "Debian has no package of it"


def stop(run: RunDir) -> None:
    if is_on(run):
        supervisor.remove(run, [render.PROGRAM])
        (run.path / RENDERED).unlink()
        shutil.rmtree(run.path / HOME, ignore_errors=True)


def _make_home(run: RunDir) -> None:
    """Make the folder that it runs in: its data, and links to what it reads."""
    home = run.path / HOME
    (home / "data").mkdir(parents=True, exist_ok=True)
    for name, target in {**{name: str(SOURCE / name) for name in LINKED}, TARGETS: TARGET}.items():
        (home / name).unlink(missing_ok=True)
        (home / name).symlink_to(target)
    if os.geteuid() == 0:
        owner = run.logs.stat(follow_symlinks=False)  # the account of the service's processes
        os.chown(home / "data", owner.st_uid, owner.st_gid)

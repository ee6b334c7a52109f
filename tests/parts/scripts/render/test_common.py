"""Rendered lists, as exact text and as their readers read them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from supervisor.options import ServerOptions

from scripts.cluster.config import ROOT, Cluster, parse_cluster
from scripts.cluster.plan import Plan, plan
from scripts.render.common import addresses, members, programs
from tests.unit.hardware import recorded
from worker.contract.limits import LIMITS
from worker.contract.settings import offline_variables

PHOTOS, WIDE = "/models/the photos", "/models/100% wide; really"
PYTHON = Path("/srv/my apps/100%/bin/python")
COMMAND: dict[str, Sequence[str | Path]] = {
    "photos": (PYTHON, "-m", "serve()"),
    "wide": ("/torch/python", "-m", "serve()"),
}


def clustered(photos: str = PHOTOS, limits: str = "", port: int = 8080) -> Cluster:
    return parse_cluster(
        f'port = {port}\n[limits]\n{limits}\n[[models]]\nname = "photos"\nfolder = {json.dumps(photos)}\n'
        f'[[models]]\nname = "wide"\nfolder = "{WIDE}"\n',
        "c.toml",
    )


def planned(cluster: Cluster, machine: str = "two-cores") -> Plan:
    return plan(cluster, {"this": recorded(machine)})


def ports(plans: Plan) -> dict[str, int]:
    return {worker.name: port for port, worker in enumerate(plans.workers, 8081)}


def rendered_members(cluster: Cluster) -> str:
    plans = planned(cluster)
    return members(cluster, plans, addresses(cluster, plans, ports(plans)))


def parsed(text: str, folder: Path) -> Mapping[str, Any]:
    """The workers as supervisord's own reader understands `text`, by name."""
    (folder / "rendered").mkdir()
    (folder / "logs").mkdir()
    (folder / "rendered/programs.conf").write_text(text)
    (folder / "supervisord.conf").write_text("[supervisord]\n[include]\nfiles=rendered/programs.conf\n")
    options = ServerOptions()
    options.here = str(folder)
    options.read_config(str(folder / "supervisord.conf"))
    groups = options.configroot.supervisord.process_group_configs
    assert {group.priority for group in groups} == {100}
    # Each is a group of its own, since only groups can be added and removed one by one.
    found = {group.name: group.process_configs for group in groups}
    assert all([process.name for process in processes] == [name] for name, processes in found.items())
    return {name: process for name, (process,) in found.items()}


def test_the_gate_takes_the_rendered_members(tmp_path: Path) -> None:
    cluster = clustered()
    (tmp_path / "members.json").write_text(rendered_members(cluster))
    gate = ["-m", "nginx.gate", "init", "--members", str(tmp_path / "members.json"), "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, *gate], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    status = json.loads((tmp_path / "status.json").read_text())
    assert [worker["worker"] for worker in status["workers"]] == ["photos-0", "wide-0"]


# --- Figures that must agree ------------------------------------------------------------------------------------

EXTREMES = [
    pytest.param({name: getattr(limit, bound) for name, limit in LIMITS.items()}, id=bound)
    for bound in ("default", "minimum", "maximum")
]


@pytest.mark.parametrize("limits", EXTREMES)
def test_a_worker_has_time_to_drain_and_to_answer_before_it_is_killed(limits: dict[str, int], tmp_path: Path) -> None:
    cluster = clustered(limits="\n".join(f"{name} = {value}" for name, value in limits.items()))
    plans = planned(cluster)
    process = parsed(programs(cluster, plans, ports(plans), COMMAND, ROOT), tmp_path)["photos-0"]
    environ = offline_variables() | {"PATH": os.environ["PATH"]} | process.environment
    environ["WANWU_CPUS"] = str(min(os.sched_getaffinity(0)))
    read = "import runpy; print(runpy.run_path('worker/gunicorn.conf.py')['graceful_timeout'])"
    graceful = int(subprocess.check_output([sys.executable, "-c", read], cwd=ROOT, env=environ, text=True))
    assert limits["drain_s"] + limits["deadline_s"] < graceful < process.stopwaitsecs

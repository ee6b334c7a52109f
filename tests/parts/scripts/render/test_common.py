"""Rendered lists, as exact text and as their readers read them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.render.common import programs
from tests.unit.scripts.render.test_common import (
    COMMAND,
    MEMORY,
    REVISION,
    make_cluster,
    make_plan,
    parsed,
    ports,
    rendered_members,
)
from worker.contract.limits import LIMITS
from worker.contract.settings import offline_variables


def test_the_gate_accepts_the_rendered_members(tmp_path: Path) -> None:
    cluster = make_cluster()
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
def test_a_worker_has_time_to_drain_and_answer_before_it_is_killed(limits: dict[str, int], tmp_path: Path) -> None:
    cluster = make_cluster(limits="\n".join(f"{name} = {value}" for name, value in limits.items()))
    plans = make_plan(cluster)
    process = parsed(programs(cluster, plans, ports(plans), COMMAND, MEMORY, ROOT, REVISION), tmp_path)["photos-0"]
    environ = offline_variables() | {"PATH": os.environ["PATH"]} | process.environment
    environ["WANWU_CPUS"] = str(min(os.sched_getaffinity(0)))
    read = "import runpy; print(runpy.run_path('worker/gunicorn.conf.py')['graceful_timeout'])"
    graceful = int(subprocess.check_output([sys.executable, "-c", read], cwd=ROOT, env=environ, text=True))
    assert limits["drain_s"] + limits["deadline_s"] < graceful < process.stopwaitsecs

"""Figures of rendered programs that must agree with the worker's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.render.programs import programs
from tests.unit.scripts.render import make_cluster, make_plan, ports
from tests.unit.scripts.render.test_programs import COMMAND, MEMORY, REVISION, parsed
from worker.contract.limits import LIMITS
from worker.contract.settings import offline_variables

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

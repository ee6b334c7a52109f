"""The rendered member list, as the gate reads it."""

import json
import subprocess
import sys
from pathlib import Path

from scripts.cluster.config import ROOT
from tests.unit.scripts.render import make_cluster
from tests.unit.scripts.render.test_gateway import rendered_members


def test_the_gate_accepts_the_rendered_members(tmp_path: Path) -> None:
    cluster = make_cluster()
    (tmp_path / "members.json").write_text(rendered_members(cluster))
    gate = ["-m", "nginx.gate", "init", "--members", str(tmp_path / "members.json"), "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, *gate], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    status = json.loads((tmp_path / "status.json").read_text())
    assert [worker["worker"] for worker in status["workers"]] == ["photos-0", "wide-0"]

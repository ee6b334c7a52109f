"""The gate's command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nginx.gate.__main__ import INTERVAL_VARIABLE
from nginx.gate.freshness import FRESH, WINDOW_S
from nginx.gate.upstreams import render_upstreams
from scripts.cluster.config import ROOT
from tests.unit.nginx.peers import A
from tests.unit.nginx.test_members import MEMBER, OTHER, document


def gate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nginx.gate", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["init", "--members", "m", "--out", ".", "--fast"], "unrecognized arguments: --fast"),
        (["init", "--member", "m", "--out", "."], "the following arguments are required: --members"),
        (["init", "--members", "m", "--out", ".", "--nginx", "nginx"], "unrecognized arguments: --nginx nginx"),
        (["run", "--members", "m", "--out", "."], "the following arguments are required: --nginx"),
        (
            ["run", "--members", "m", "--out", ".", "--nginx", "nginx", "--interval", "0"],
            "argument --interval: found 0, needed a number above 0 and at most 60",
        ),
        ([], "the following arguments are required: command"),
    ],
)
def test_unknown_and_missing_arguments_are_refused(arguments: list[str], fault: str) -> None:
    result = gate(*arguments)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].endswith(f"error: {fault}")


def test_init_lists_every_member_that_resolves_and_marks_no_model_ready(tmp_path: Path) -> None:
    members = tmp_path / "members.json"
    named, nowhere = MEMBER | {"address": "localhost:8081"}, OTHER | {"address": "not..a.name:8083"}
    members.write_text(document({"model": "photos", "members": [named]}, {"model": "other", "members": [nowhere]}))
    (tmp_path / "ready.json").write_text("left by an earlier run")
    result = gate("init", "--members", str(members), "--out", str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    listed = render_upstreams({"photos": {"photos-0": A.address}, "other": {}})
    assert (tmp_path / "upstreams.conf").read_text() == listed
    assert [model["ready"] for model in json.loads((tmp_path / "status.json").read_text())["models"]] == [False, False]
    assert json.loads((tmp_path / "models.json").read_text()) == {
        "models": [{"name": name, "ready": False, "workers_in": 0, "workers": 1} for name in ("photos", "other")]
    }
    files = {path.name for path in tmp_path.iterdir()}
    assert {name for name in files if not name.startswith(FRESH)} == {
        "heartbeat",
        "index.json",
        "members.json",
        "models.json",
        "names.json",
        "reported.json",
        "status.json",
        "upstreams.conf",
    }
    begin = int(min(files).removeprefix(FRESH))
    assert {name for name in files if name.startswith(FRESH)} == {f"{FRESH}{begin}", f"{FRESH}{begin + WINDOW_S}"}


def test_init_refuses_invalid_members_in_one_line(tmp_path: Path) -> None:
    members = tmp_path / "members.json"
    members.write_text(document())
    result = gate("init", "--members", str(members), "--out", str(tmp_path))
    assert result.returncode == 1
    assert result.stderr == f"gate: {members}: pools: needed a list with at least one entry\n"


def test_the_gate_needs_only_the_standard_library(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "nginx/gate", tmp_path / "gate")
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import gate.__main__"]
    )
    assert result.returncode == 0


def test_a_variable_sets_the_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INTERVAL_VARIABLE, "0")
    result = gate("run", "--members", "m", "--out", str(tmp_path), "--nginx", "nginx")
    assert result.returncode == 2
    fault = "argument --interval: found 0, needed a number above 0 and at most 60"
    assert result.stderr.splitlines()[-1].endswith(f"error: {fault}")

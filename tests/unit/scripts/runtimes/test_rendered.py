"""The files of a run directory are rendered without starting a process or making an environment or image."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT, parse_cluster
from scripts.cluster.keys import changed_keys, new_key
from scripts.cluster.models import read_models
from scripts.cluster.plan import plan
from scripts.cluster.schema import Access
from scripts.host import docker
from scripts.runtimes.compose.runtime import ComposeRuntime
from scripts.runtimes.deployment import Deployment, with_default_ports
from scripts.runtimes.local.runtime import LocalRuntime
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.side_by_side import SideBySide
from tests.unit.hardware import recorded


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    text = f'[[models]]\nname = "photos"\nfolder = "{ROOT}/worker/photos"\n'
    cluster, hardware = parse_cluster(text, "c.toml"), recorded("two-cores")
    models = read_models(cluster)
    planned = plan(cluster, {"this": hardware})
    return with_default_ports(Deployment(cluster, hardware, models, planned, RunDir(tmp_path / "run")))


@pytest.mark.parametrize("runtime", [LocalRuntime(), ComposeRuntime()])
def test_rendering_starts_no_process_and_creates_no_file(
    deployment: Deployment, runtime: SideBySide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **_: object) -> None:
        raise AssertionError(f"started {arguments}")

    monkeypatch.setattr(subprocess.Popen, "__init__", fail)
    # The engine alone knows under which names it has images.
    monkeypatch.setattr(docker, "image_id", lambda _: "")
    monkeypatch.setattr(docker, "tags", lambda _: [])
    files = runtime.render(deployment)
    assert files["runtime"].strip() in ("local", "compose")
    assert "photos-0" in "".join(files.values())
    assert runtime.keys not in files
    assert list(tmp_path.iterdir()) == []


def test_whatever_the_umask_the_gateway_can_read_keys_that_alone_have_changed(
    deployment: Deployment, tmp_path: Path
) -> None:
    runtime, run = ComposeRuntime(), deployment.run
    cluster = replace(deployment.cluster, source=f"{tmp_path}/cluster.toml", access=Access(keys=True))
    before = os.umask(0o077)
    try:
        written = [runtime.write_secrets(cluster, run) for _ in range(2)]
        with changed_keys(cluster) as keys:
            keys.append(new_key("line-3", "client", ())[1])
        written.append(runtime.write_secrets(cluster, run))
    finally:
        os.umask(before)
    assert written == [True, False, True]
    assert '"line-3"' in run.text(runtime.keys)
    path = run.path / runtime.keys
    assert [one.stat().st_mode & 0o777 for one in (path.parent, path)] == [0o755, 0o644]

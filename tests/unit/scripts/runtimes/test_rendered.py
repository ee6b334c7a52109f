"""What lies in a run directory is computed: no process is started, no environment and no image made for it."""

import subprocess
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT, parse_cluster
from scripts.cluster.models import read_models
from scripts.cluster.plan import plan
from scripts.host import environments
from scripts.runtimes.compose import runtime as compose
from scripts.runtimes.deployment import Site
from scripts.runtimes.local import runtime as local
from scripts.runtimes.run_directory import RunDir
from tests.unit.hardware import recorded


@pytest.fixture
def deployment(tmp_path: Path) -> Site:
    text = f'[[models]]\nname = "photos"\nfolder = "{ROOT}/worker/photos"\n'
    cluster, hardware = parse_cluster(text, "c.toml"), recorded("two-cores")
    models = read_models(cluster)
    return Site(cluster, hardware, models, plan(cluster, {"this": hardware}), RunDir(tmp_path / "run"))


@pytest.mark.parametrize("runtime", [local, compose])
def test_rendering_starts_nothing_and_makes_nothing(
    deployment: Site, runtime: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*arguments: object, **_: object) -> None:
        raise AssertionError(f"started {arguments}")

    monkeypatch.setattr(subprocess.Popen, "__init__", started)
    monkeypatch.setattr(environments, "ensure", started)
    files = runtime.rendered(deployment)  # type: ignore[attr-defined]
    assert files["runtime"].strip() in ("local", "compose")
    assert "photos-0" in "".join(files.values())
    assert list(tmp_path.iterdir()) == []

"""Model folders in containers: broken before a start, and broken between two."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import load_cluster
from scripts.runtimes.compose.runtime import ComposeRuntime
from scripts.runtimes.run_directory import run_dir
from scripts.runtimes.states import target
from tests.load import steady_load
from tests.system.conftest import ServiceFactory
from tests.system.containers import Container, left_over, said, status, workers_in
from tests.wait import until

WORKERS = {"model-0", "model-1"}
TIMED_OUT = -1  # the exit code of a health check that a busy machine did not finish


@pytest.fixture
def model(slow: Path, tmp_path: Path) -> Path:
    """A model folder that a test may break."""
    return Path(shutil.copytree(slow, tmp_path / "model"))


def change(model: Path) -> None:
    with (model / "model.bin").open("ab") as file:
        file.write(b"!")


def changed(worker: str) -> str:
    """What is said of a worker whose weights were changed."""
    file = "model/model.bin"
    return rf"{worker} is broken: {file}: sha256 is \w{{64}}, model.toml says \w{{64}}; copy the file again"


def test_a_changed_weight_is_named_and_nothing_is_left_running(kitchen: ServiceFactory, model: Path) -> None:
    change(model)
    service = kitchen.make(model)
    (line,) = said(service.make("up"))
    assert re.fullmatch(changed(r"model-\d"), line)
    assert left_over(service) == []
    assert not service.run_dir.exists()


def test_a_model_folder_that_goes_away_is_not_made_anew(kitchen: ServiceFactory, model: Path) -> None:
    service = kitchen.make(model)
    compose, run = ComposeRuntime(), run_dir(service.run_dir)
    planned = compose.plan(load_cluster(service.cluster), run)
    compose.build_artifacts(planned)
    state = target(compose, planned)
    shutil.rmtree(model)
    with pytest.raises(CommandError, match=f"bind source path does not exist: {model}"):
        compose.start_first(run, state)
    assert not model.exists()
    assert left_over(service) == []


def test_a_model_that_was_broken_changes_nothing_of_what_serves(kitchen: ServiceFactory, model: Path) -> None:
    service = kitchen.make(model, "drain_s = 1\n")
    service.up()
    containers = [Container(service, name) for name in sorted(WORKERS)]
    before = [container.inspect()["Id"] for container in containers]
    with steady_load(service.endpoint, model / "golden/one.png") as load:
        until("both workers answer", lambda: len(load.workers) == 2)
        change(model)
        first, last = said(service.make("up"))
        load.workers.clear()
        until("both serve on", lambda: len(load.workers) == 2)
    assert load.outcomes == {"200": load.answered}
    assert re.fullmatch(changed("model-2"), first)
    assert last == "model: served as before; nothing was changed"
    assert workers_in(service) == WORKERS
    assert [container.inspect()["Id"] for container in containers] == before

    # Weights that are read at a start alone: it comes back broken.
    containers[0].run("sh", "-c", "kill -9 -1")
    until("it is out", lambda: status(service)["model-0"]["state"] == "broken")
    until("it is out of rotation", lambda: workers_in(service) == {"model-1"})
    _not_healthy(containers[0])


def _not_healthy(container: Container) -> None:
    """It has said that it is broken when it was asked how it is, and the engine does not call that healthy."""

    def health() -> Any:
        return container.inspect()["State"]["Health"]

    until("it says that it is broken", lambda: '"broken"' in "".join(check["Output"] for check in health()["Log"]))
    assert health()["Status"] in ("starting", "unhealthy")
    assert health()["Log"][-1]["ExitCode"] in (1, TIMED_OUT)

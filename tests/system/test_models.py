"""Model folders in containers: on the torch engine, broken before a start, and broken between two."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import requests

from scripts.base.errors import CommandError
from scripts.cluster.config import load_cluster
from scripts.runtimes.compose.runtime import ComposeRuntime
from scripts.runtimes.run_directory import run_dir
from tests.folders import torchvision_folder
from tests.load import steady_load
from tests.system.conftest import ServiceFactory
from tests.system.containers import Container, left_over, said, status, workers_in
from tests.wait import until
from worker.models.folder import read_folder

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


def test_a_model_on_the_torch_engine_gets_its_image_and_answers(kitchen: ServiceFactory, tmp_path: Path) -> None:
    folder = torchvision_folder(tmp_path / "small")
    service = kitchen.make(folder)
    service.up()
    body, headers = (folder / "golden/one.png").read_bytes(), {"Content-Type": "image/png"}
    answer = requests.post(f"{service.endpoint}/predict", data=body, headers=headers, timeout=60).json()
    assert {worker["engine"] for worker in status(service).values()} == {"torch"}
    assert answer["predictions"][0]["index"] == read_folder(folder).golden[0].index
    assert Container(service, "small-0").inspect()["Config"]["Image"].startswith("wanwu-worker-torch:")


def test_a_changed_weight_is_named_and_nothing_is_left_running(kitchen: ServiceFactory, model: Path) -> None:
    change(model)
    service = kitchen.make(model)
    (line,) = said(service.make("up"))
    assert re.fullmatch(changed(r"model-\d"), line)
    assert left_over(service) == []
    assert not service.run_dir.exists()


def test_a_model_folder_that_goes_away_is_not_made_anew(kitchen: ServiceFactory, model: Path) -> None:
    service = kitchen.make(model)
    planned = ComposeRuntime().plan(load_cluster(service.cluster), run_dir(service.run_dir))
    shutil.rmtree(model)
    with pytest.raises(CommandError, match=f"bind source path does not exist: {model}"):
        ComposeRuntime().start_all(planned)
    assert not model.exists()
    assert left_over(service) == []


def test_a_rollout_onto_a_broken_model_ends_with_the_first_worker_and_with_two_out_it_does_not_begin(
    kitchen: ServiceFactory, model: Path
) -> None:
    service = kitchen.make(model, "drain_s = 1\n")
    service.up()
    good = (model / "model.bin").read_bytes()
    before = {name: Container(service, name).inspect()["Id"] for name in WORKERS}
    with steady_load(service.endpoint, model / "golden/one.png") as load:
        until("both workers answer", lambda: len(load.workers) == 2)
        change(model)
        (line,) = said(service.make("rollout"))
        load.workers.clear()
        until("the other serves on", lambda: load.workers["model-1"] > 5)
    assert load.outcomes == {"200": load.answered}
    assert re.fullmatch(changed("model-0"), line)
    assert workers_in(service) == {"model-1"}
    assert Container(service, "model-1").inspect()["Id"] == before["model-1"]
    _never_healthy(Container(service, "model-0"))

    (model / "model.bin").write_bytes(good)
    done = service.make("rollout")
    assert done.returncode == 0, done.stderr
    assert workers_in(service) == WORKERS
    containers = [Container(service, name) for name in sorted(WORKERS)]
    replaced = [container.inspect()["Id"] for container in containers]
    assert not set(replaced) & set(before.values())

    # Weights that are read at a start alone: both come back broken.
    change(model)
    for container in containers:
        container.run("sh", "-c", "kill -9 -1")
    until("both are out", lambda: {worker["state"] for worker in status(service).values()} == {"broken"})
    until("both are out of rotation", lambda: workers_in(service) == set())
    assert said(service.make("rollout")) == [
        "found 0 of 2 workers in rotation, needed 1: "
        "model-0, model-1 must be in rotation before others are replaced; see `make logs`"
    ]
    assert [container.inspect()["Id"] for container in containers] == replaced


def _never_healthy(container: Container) -> None:
    """It has said that it is broken when it was asked how it is, and the engine does not call that healthy."""

    def health() -> Any:
        return container.inspect()["State"]["Health"]

    until("it says that it is broken", lambda: '"broken"' in "".join(check["Output"] for check in health()["Log"]))
    assert health()["Status"] in ("starting", "unhealthy")
    ended = {check["ExitCode"] for check in health()["Log"]} - {TIMED_OUT}
    assert ended == {1}

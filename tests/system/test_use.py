"""A service in containers from its start to its end, with `make use` between: another model, and one that dies."""

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from scripts.base.errors import CommandError
from scripts.models.verified import record
from scripts.runtimes.compose import shares
from tests.folders import openvino_folder
from tests.load import steady_load
from tests.service import Service
from tests.system.conftest import ServiceFactory
from tests.system.containers import Container, left_over, project, said, volumes, workers_in
from tests.wait import until


@pytest.fixture(scope="module")
def models(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two verified models."""
    models = tmp_path_factory.mktemp("models")
    for name in ("old", "new"):
        record(models, openvino_folder(models / name), good=True)
    return models


@pytest.fixture(scope="module")
def served(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers of the old one, until a test swaps them and the last one takes them down."""
    kitchen = ServiceFactory(tmp_path_factory.mktemp("served"))
    service = kitchen.make(models / "old")
    umask = os.umask(0o077)  # a careful administrator's: the containers' accounts read what they must all the same
    try:
        assert f"ready: {service.endpoint}/" in service.up()
        os.umask(umask)
        yield service
    finally:
        os.umask(umask)
        kitchen.close()


@contextmanager
def nothing_lost(service: Service, image: Path, after: str) -> Iterator[None]:
    """Steady load through the block and beyond, where `after` alone answers it."""
    with steady_load(service.endpoint, image) as load:
        until("requests are answered", lambda: load.answered > 20)
        yield
        load.workers.clear()
        until("requests are answered", lambda: sum(load.workers.values()) > 20)
    assert load.outcomes == {"200": load.answered}
    assert {worker.rpartition("-")[0] for worker in load.workers} == {after}


def started(service: Service) -> dict[str, tuple[str, str]]:
    """Every container of the service, and when it was started."""
    names = [name for name in left_over(service) if name.endswith("-1")]
    parts = [name.removeprefix(f"{project(service)}-").removesuffix("-1") for name in names]
    found = {part: Container(service, part).inspect() for part in parts}
    return {part: (state["Id"], state["State"]["StartedAt"]) for part, state in found.items()}


def cpu_shares(service: Service, worker: str) -> int:
    return int(Container(service, worker).inspect()["HostConfig"]["CpuShares"])


def test_a_worker_that_dies_while_it_starts_ends_the_swap_and_changes_nothing(served: Service, models: Path) -> None:
    text, before, listed = served.cluster.read_bytes(), started(served), left_over(served)
    given = set[int]()
    with nothing_lost(served, models / "old/golden/one.png", "old"), ThreadPoolExecutor(1) as pool:
        using = pool.submit(served.make, "use", "NAME=new", f"MODELS={models}")

        def is_over() -> bool:
            """Whether the swap has ended, after another blow to its worker."""
            Container(served, "new-0").run("sh", "-c", "kill -9 -1")
            with suppress(CommandError):  # it has no container yet, or none any more
                given.add(cpu_shares(served, "new-0"))
            return using.done()

        until("the swap is given up", is_over)
    lines = said(using.result())
    assert lines[0] == "new-0 exits as soon as it starts; its log ends with:"
    assert lines[-1] == "old: served as before; nothing was changed"
    assert shares.SERVING // 4 in given
    assert served.cluster.read_bytes() == text
    assert (started(served), left_over(served)) == (before, listed)
    served.up()
    assert started(served) == before


def test_a_swap_loses_no_request_and_leaves_the_gateway_as_it_is(served: Service, models: Path) -> None:
    image, text, before = models / "old/golden/one.png", served.cluster.read_text(), started(served)
    with nothing_lost(served, image, "new"):
        done = served.make("use", "NAME=new", f"MODELS={models}")
        assert done.returncode == 0, done.stdout + done.stderr
    after = started(served)
    assert after.keys() == {"entrance", "gateway", "new-0", "new-1"}
    assert [after[part] for part in ("entrance", "gateway")] == [before[part] for part in ("entrance", "gateway")]
    assert workers_in(served) == {"new-0", "new-1"}
    assert [cpu_shares(served, worker) for worker in ("new-0", "new-1")] == [shares.SERVING] * 2
    assert served.cluster.read_text() == text.replace('"old"', '"new"').replace(f'"{models}/old"', f'"{models}/new"')
    gone = requests.post(f"{served.endpoint}/models/old", data=image.read_bytes(), timeout=60)
    assert gone.json()["error"]["code"] == "unknown_model"
    served.up()
    assert started(served) == after


def test_down_leaves_no_container_no_network_no_port_and_no_file(served: Service) -> None:
    assert len(left_over(served)) == 6
    served.down()
    assert (left_over(served), volumes(served)) == ([], set())
    assert not served.run_dir.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", served.port)) != 0

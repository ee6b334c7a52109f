"""The cluster view, with a real service whose workers are killed and drained."""

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from selenium import webdriver

from scripts.runtimes.local import supervisor
from scripts.runtimes.run_directory import RunDir
from tests import folders, processes
from tests.browser.conftest import Sample
from tests.browser.page import Page
from tests.service import Service, create, table
from worker.contract.cpu_list import parse_cpu_list

DRAIN = "[limits]\ndrain_s = 6\n"  # long enough to be seen on a busy machine
IN = {"en": "In rotation", "zh": "在线"}


@pytest.fixture(scope="module")
def fruits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers of one model, which drain before they stop."""
    home = tmp_path_factory.mktemp("cluster")
    folder = folders.fruit_folder(home / "model")
    running = create(home / "service", table("fruit", folder), DRAIN)
    running.up()
    yield running
    running.down()


@pytest.fixture
def cluster(browser: webdriver.Chrome, fruits: Service) -> Page:
    """The view, once all workers are in rotation."""
    page = Page(browser, fruits.endpoint)
    page.click("#views [href='#cluster']")
    page.wait(lambda: states(page) == [IN["en"]] * 2)
    return page


def states(page: Page) -> list[str]:
    return page.texts("#view-cluster tr .state")


CELLS = """
return [...document.querySelectorAll("#view-cluster tbody tr")]
  .map((line) => Array.from(line.cells, (cell) => cell.textContent.trim()));
"""


def row(page: Page, slot: str) -> list[str]:
    found: list[str]
    (found,) = (cells for cells in page.run(CELLS) if cells[0] == slot)
    return found


def signal_worker(service: Service, name: str, number: signal.Signals) -> None:
    """Send a signal to all processes of a worker, as the kernel does to a group."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    own = [pid for pid in pids if processes.variable(pid, "HOME") == str(service.run_dir)]
    worker = [pid for pid in own if processes.variable(pid, "WANWU_WORKER") == name]
    assert worker
    for pid in worker:
        os.kill(pid, number)


def status(service: Service) -> Any:
    return requests.get(f"{service.endpoint}/status", timeout=60).json()


def recent(service: Service) -> Any:
    (model,) = status(service)["models"]
    return model["recent"]


def cores(worker: Mapping[str, str]) -> str:
    count = len(parse_cpu_list(worker["cpus"]))
    return f"{count} core{'s' * (count > 1)}"


def test_every_worker_is_shown_with_its_slot_state_model_and_load(cluster: Page, fruits: Service) -> None:
    assert cluster.text("#view-cluster .view-head p") == "2 of 2 workers in rotation, 1 server"
    for worker in status(fruits)["workers"]:
        cells = row(cluster, worker["slot"])
        assert cells[:7] == [worker["slot"], cores(worker), "In rotation", "fruit 1", "openvino · f32", "0", "0"]
    cluster.switch_to("zh")
    cluster.wait(lambda: states(cluster) == [IN["zh"]] * 2)
    assert row(cluster, worker["slot"])[:3] == [worker["slot"], f"{cores(worker).split()[0]} 核", "在线"]
    assert cluster.value("#view-cluster .view-head a", "href") == f"{fruits.endpoint}/status"
    assert cluster.console() == []


def test_rate_and_percentiles_are_those_of_the_service(cluster: Page, fruits: Service, samples: list[Sample]) -> None:
    before = sum(recent(fruits)["images"])
    image = samples[0].path.read_bytes()
    several = [("image", image), ("image", image)]
    for number in range(20):
        files = [("image", image)] if number % 2 else several
        assert requests.post(f"{fruits.endpoint}/predict", files=files, timeout=60).ok
    cluster.wait(lambda: sum(recent(fruits)["images"]) == before + 30)
    p50, p99 = (recent(fruits)[f"{name}_ms"] for name in ("p50", "p99"))
    assert p50 <= p99
    cluster.wait(lambda: cluster.texts(".model-card dd")[1:] == [milliseconds(p50), milliseconds(p99)])
    assert float(cluster.texts(".model-card dd")[0]) > 0
    line = cluster.run("return document.querySelector('.model-card path:last-child').getAttribute('d')")
    assert len({point.split()[1] for point in line.removeprefix("M").split("L")}) > 1, "it rises where images came"


def milliseconds(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f}".removesuffix(".0") + " ms"


def test_a_worker_that_freezes_or_dies_is_seen_and_read_out(cluster: Page, fruits: Service) -> None:
    slot = status(fruits)["workers"][1]["slot"]
    signal_worker(fruits, "fruit-1", signal.SIGSTOP)
    try:
        cluster.wait(lambda: row(cluster, slot)[2].startswith("Not reachable timed out"))
        assert cluster.text("#view-cluster .unseen[role=status]") == "fruit-1: Not reachable"
        assert states(cluster)[0] == IN["en"]
        cluster.switch_to("zh")
        cluster.wait(lambda: row(cluster, slot)[2].startswith("无法连接 超时"))
        cluster.switch_to("en")
        cluster.wait(lambda: cluster.text(".model-card .serving") == "1 of 2 workers")
    finally:
        signal_worker(fruits, "fruit-1", signal.SIGKILL)
    cluster.wait(lambda: states(cluster) == [IN["en"]] * 2)
    assert cluster.text(".model-card .serving") == "2 of 2 workers"
    with processes.frozen(supervisor.pid_of(RunDir(fruits.run_dir))):  # or another one may be back before anybody looks
        signal_worker(fruits, "fruit-1", signal.SIGKILL)
        cluster.wait(lambda: states(cluster)[1] != IN["en"])
    cluster.wait(lambda: states(cluster) == [IN["en"]] * 2)


def test_a_worker_that_drains_is_said_to(cluster: Page, fruits: Service) -> None:
    cluster.switch_to("zh")
    slot = status(fruits)["workers"][0]["slot"]
    signal_worker(fruits, "fruit-0", signal.SIGTERM)
    cluster.wait(lambda: row(cluster, slot)[2].startswith("排空中"))
    assert cluster.shown("#view-cluster tr")
    cluster.wait(lambda: states(cluster) == [IN["zh"]] * 2)


def test_a_service_that_is_silent_is_said_to_be_and_its_last_state_stays(cluster: Page) -> None:
    with cluster.network(offline=True):
        cluster.wait(lambda: cluster.text(".trouble").startswith("The service has not responded for "))
        assert states(cluster) == [IN["en"]] * 2
    cluster.wait(lambda: cluster.text(".trouble") == "")
